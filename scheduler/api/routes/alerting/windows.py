"""The routes that list, start, end and delete maintenance windows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Response

from scheduler.api.models.alerting.suppressions import (
    SUPPRESSION_ID,
    CreatedWindowModel,
    WindowListModel,
    WindowModel,
    WindowRequest,
)
from scheduler.api.routes.alerting.silences import Ended
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, Limit, ServicesDep

router = ApiRouter("windows", by_tag=True)

WindowId = Annotated[str, Path(max_length=100, description="The window's id or its name", examples=[SUPPRESSION_ID])]
_CONFLICT = (HTTPStatus.CONFLICT,)


@router.read("/api/windows")
async def list_windows(
    services: ServicesDep,
    caller: CallerDep,
    ended: Ended = False,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> WindowListModel:
    """List maintenance windows: on the first page those of job files, in addition to `limit`, then requested ones.

    `ended`: requested ones only. A page can contain fewer than `limit`. Only the last page has no continuation.
    """
    page = await services.suppressions.list_windows(
        caller.principal, ended=ended, limit=limit, after=continuation or ""
    )
    defined = () if ended or continuation else services.suppressions.list_defined_windows()
    windows = [*map(WindowModel.from_defined, defined), *map(WindowModel.from_view, page.found)]
    return WindowListModel(windows=windows, continuation=page.continuation)


@router.operate("/api/windows", status_code=HTTPStatus.CREATED, problems=_CONFLICT)
async def start_window(
    services: ServicesDep, caller: CallerDep, body: WindowRequest, response: Response
) -> CreatedWindowModel:
    """Start a maintenance window, now or later. It ends by itself: a pipeline that fails leaves nothing behind.

    409 if another window with this name has not ended. For a caller that is limited to tags it concerns only jobs with
    one of these tags.
    """
    definition = body.model_dump(by_alias=True, exclude_none=True)
    created = await services.operations.windows.create(definition, caller)
    window_id = created.stored.value.id
    response.headers["Location"] = f"/api/windows/{window_id}"
    view = await services.suppressions.get_window(caller.principal, window_id)
    return CreatedWindowModel.from_created(view, created.jobs)


@router.read("/api/windows/{window_id}")
async def get_window(services: ServicesDep, caller: CallerDep, window_id: WindowId) -> WindowModel:
    """Return a maintenance window by its id, also one that has ended, or one of a job file by its name."""
    defined = services.suppressions.find_defined_window(window_id)
    if defined is not None:
        return WindowModel.from_defined(defined)
    return WindowModel.from_view(await services.suppressions.get_window(caller.principal, window_id))


@router.operate("/api/windows/{window_id}/end", problems=_CONFLICT)
async def end_window(services: ServicesDep, caller: CallerDep, window_id: WindowId) -> WindowModel:
    """End a maintenance window now. One that recurs does not begin again.

    409 if it has ended, has not started (then delete it), or is defined in a job file.
    """
    ended = await services.operations.windows.end(window_id, caller)
    return WindowModel.from_view(await services.suppressions.get_window(caller.principal, ended.id))


@router.manage("/api/windows/{window_id}", status_code=HTTPStatus.NO_CONTENT, problems=_CONFLICT)
async def delete_window(services: ServicesDep, caller: CallerDep, window_id: WindowId) -> None:
    """Delete a maintenance window that has not started. Others are part of the history: end them."""
    await services.operations.windows.delete(window_id, caller)
