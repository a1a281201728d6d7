"""The routes that list, create, end and delete silences."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Query, Response
from pydantic import ValidationError

from jobs.incidents.suppression.windows import ExplicitSelector
from jobs.problems import Problem, validation_problems
from scheduler.api.models.alerting.suppressions import (
    SUPPRESSION_ID,
    CreatedSilenceModel,
    SelectorRequest,
    SilenceListModel,
    SilenceModel,
    SilenceRequest,
)
from scheduler.api.problems import UnusableValue, describe_problem
from scheduler.api.routes.alerting.lengths import parse_length
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, Limit, ServicesDep
from scheduler.operations.alerting.silences import NewSilence

router = ApiRouter("silences", by_tag=True)

SilenceId = Annotated[str, Path(max_length=100, description="The silence's id", examples=[SUPPRESSION_ID])]
Ended = Annotated[bool, Query(description="Those that ended more than some minutes ago, instead of the others")]
_CONFLICT = (HTTPStatus.CONFLICT,)


@router.read("/api/silences")
async def list_silences(
    services: ServicesDep,
    caller: CallerDep,
    ended: Ended = False,
    limit: Limit = 50,
    continuation: Continuation = None,
) -> SilenceListModel:
    """List silences, oldest first. A page can contain fewer than `limit`. Only the last page has no continuation."""
    page = await services.suppressions.list_silences(
        caller.principal, ended=ended, limit=limit, after=continuation or ""
    )
    return SilenceListModel(
        silences=[SilenceModel.from_view(view) for view in page.found], continuation=page.continuation
    )


@router.operate("/api/silences", status_code=HTTPStatus.CREATED, problems=_CONFLICT)
async def create_silence(
    services: ServicesDep, caller: CallerDep, body: SilenceRequest, response: Response
) -> CreatedSilenceModel:
    """Hold back the notifications of some alerts until an instant or for a time. Resolutions are sent all the same.

    For a caller that is limited to tags it concerns only jobs with one of these tags.
    """
    new = NewSilence(parse_selector(body.select), body.ends_at, body.starts_at, body.reason, parse_length(body.length))
    created = await services.operations.silences.create(new, caller)
    silence_id = created.stored.value.id
    response.headers["Location"] = f"/api/silences/{silence_id}"
    view = await services.suppressions.get_silence(caller.principal, silence_id)
    return CreatedSilenceModel.from_created(view, created.jobs)


@router.read("/api/silences/{silence_id}")
async def get_silence(services: ServicesDep, caller: CallerDep, silence_id: SilenceId) -> SilenceModel:
    """Return a silence, also one that has ended."""
    return SilenceModel.from_view(await services.suppressions.get_silence(caller.principal, silence_id))


@router.operate("/api/silences/{silence_id}/end", problems=_CONFLICT)
async def end_silence(services: ServicesDep, caller: CallerDep, silence_id: SilenceId) -> SilenceModel:
    """End a silence now. 409 if it has ended, or has not started: then delete it."""
    await services.operations.silences.end(silence_id, caller)
    return SilenceModel.from_view(await services.suppressions.get_silence(caller.principal, silence_id))


@router.manage("/api/silences/{silence_id}", status_code=HTTPStatus.NO_CONTENT, problems=_CONFLICT)
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
