"""The routes that list, create, end and delete silences and maintenance windows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import ValidationError

from jobs.incidents.suppression.windows import ExplicitSelector
from jobs.problems import Problem, validation_problems
from scheduler.api.parameters import parse_length
from scheduler.api.problems import UnusableValue, describe_problem
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, Limit, ServicesDep
from scheduler.features.suppressions.models import (
    SUPPRESSION_ID,
    CreatedSilenceModel,
    CreatedWindowModel,
    SelectorRequest,
    SilenceListModel,
    SilenceModel,
    SilenceRequest,
    WindowListModel,
    WindowModel,
    WindowRequest,
)
from scheduler.features.suppressions.service import NewSilence

silences_router = ApiRouter("silences", by_tag=True)

SilenceId = Annotated[str, Path(max_length=100, description="The silence's id", examples=[SUPPRESSION_ID])]
Ended = Annotated[bool, Query(description="Those that ended more than some minutes ago, instead of the others")]
_CONFLICT = (HTTPStatus.CONFLICT,)


@silences_router.read("/api/silences")
async def list_silences(
    services: ServicesDep,
    caller: CallerDep,
    ended: Ended = False,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> SilenceListModel:
    """List silences, oldest first. A page can contain fewer than `limit`. Only the last page has no continuation."""
    return await services.suppressions.list_silences(
        caller.principal, ended=ended, limit=limit, after=continuation or ""
    )


@silences_router.operate("/api/silences", status_code=HTTPStatus.CREATED, problems=_CONFLICT)
async def create_silence(
    services: ServicesDep, caller: CallerDep, body: SilenceRequest, response: Response
) -> CreatedSilenceModel:
    """Hold back the notifications of some alerts until an instant or for a time. Resolutions are sent all the same.

    For a caller that is limited to tags it concerns only jobs with one of these tags.
    """
    new = NewSilence(parse_selector(body.select), body.ends_at, body.starts_at, body.reason, parse_length(body.length))
    created = await services.operations.silences.create(new, caller)
    response.headers["Location"] = created.url
    return created


@silences_router.read("/api/silences/{silence_id}")
async def get_silence(services: ServicesDep, caller: CallerDep, silence_id: SilenceId) -> SilenceModel:
    """Return a silence, also one that has ended."""
    return await services.suppressions.get_silence(caller.principal, silence_id)


@silences_router.operate("/api/silences/{silence_id}/end", problems=_CONFLICT)
async def end_silence(services: ServicesDep, caller: CallerDep, silence_id: SilenceId) -> SilenceModel:
    """End a silence now. 409 if it has ended, or has not started: then delete it."""
    return await services.operations.silences.end(silence_id, caller)


@silences_router.manage("/api/silences/{silence_id}", status_code=HTTPStatus.NO_CONTENT, problems=_CONFLICT)
async def delete_silence(services: ServicesDep, caller: CallerDep, silence_id: SilenceId) -> None:
    """Delete a silence that has not started. Others are part of the history: end them."""
    await services.operations.silences.delete(silence_id, caller)


def parse_selector(select: SelectorRequest) -> ExplicitSelector:
    """Raises UnusableValue: it selects nothing, or a pattern is invalid."""
    try:
        return ExplicitSelector.model_validate(select.model_dump(exclude_none=True))
    except ValidationError as error:
        found = validation_problems(error, ExplicitSelector)
        located = (Problem(f"select.{each.key}".rstrip("."), each.message, each.hint) for each in found)
        raise UnusableValue(*map(describe_problem, located)) from None


windows_router = ApiRouter("windows", by_tag=True)

WindowId = Annotated[str, Path(max_length=100, description="The window's id or its name", examples=[SUPPRESSION_ID])]


@windows_router.read("/api/windows")
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
    return await services.suppressions.list_windows(
        caller.principal, ended=ended, limit=limit, after=continuation or ""
    )


@windows_router.operate("/api/windows", status_code=HTTPStatus.CREATED, problems=_CONFLICT)
async def start_window(
    services: ServicesDep, caller: CallerDep, body: WindowRequest, response: Response
) -> CreatedWindowModel:
    """Start a maintenance window, now or later. It ends by itself: a pipeline that fails leaves nothing behind.

    409 if another window with this name has not ended. For a caller that is limited to tags it concerns only jobs with
    one of these tags.
    """
    definition = body.model_dump(by_alias=True, exclude_none=True)
    created = await services.operations.windows.create(definition, caller)
    response.headers["Location"] = created.url
    return created


@windows_router.read("/api/windows/{window_id}")
async def get_window(services: ServicesDep, caller: CallerDep, window_id: WindowId) -> WindowModel:
    """Return a maintenance window by its id, also one that has ended, or one of a job file by its name."""
    return await services.suppressions.get_window(caller.principal, window_id)


@windows_router.operate("/api/windows/{window_id}/end", problems=_CONFLICT)
async def end_window(services: ServicesDep, caller: CallerDep, window_id: WindowId) -> WindowModel:
    """End a maintenance window now. One that recurs does not begin again.

    409 if it has ended, has not started (then delete it), or is defined in a job file.
    """
    return await services.operations.windows.end(window_id, caller)


@windows_router.manage("/api/windows/{window_id}", status_code=HTTPStatus.NO_CONTENT, problems=_CONFLICT)
async def delete_window(services: ServicesDep, caller: CallerDep, window_id: WindowId) -> None:
    """Delete a maintenance window that has not started. Others are part of the history: end them."""
    await services.operations.windows.delete(window_id, caller)
