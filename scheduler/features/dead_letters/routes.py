"""The routes that list, replay and discard dead letters."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import Path, Response
from pydantic import ConfigDict, Field
from pydantic.config import JsonDict, JsonValue

from jobs.definition import NAME_PATTERN
from scheduler.api.problems import ApiError
from scheduler.api.routing import POLL_RETRY_AFTER, ApiRouter, CallerDep, Continuation, JobParameter, Limit, ServicesDep
from scheduler.features.dead_letters.models import DeadLetterDetail, DeadLetterList, ReplayModel
from scheduler.features.dead_letters.service import LetterFilter
from scheduler.features.runs.models import RunModel
from scheduler.model_base import Instant, Reason, RequestModel

router = ApiRouter("dead letters", by_tag=True)

LetterId = Annotated[
    str, Path(max_length=100, description="The dead letter's id", examples=["20261128T090000.000Z.5f2c1d9b04aa"])
]


def _requires_text(name: str, **form: JsonValue) -> JsonDict:
    return {"required": [name], "properties": {name: {"type": "string", **form}}}


class ReplayRequest(RequestModel):
    """Criteria that a letter must all match: its job, a text in its reason, and its time, from `after` and before
    `before`.

    At least one criterion is required. `per_second`: runs started per second.
    """

    # pydantic derives no JSON Schema from a check of several fields. scheduler.operations does the check.
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"job": "checkout-api", "after": "2026-11-28T06:00:00Z", "limit": 100, "dry_run": True}],
            "anyOf": [
                _requires_text("job"),
                _requires_text("reason", pattern=r"\S"),
                _requires_text("after"),
                _requires_text("before"),
            ],
        }
    )

    job: Annotated[str, Field(pattern=NAME_PATTERN)] | None = None
    reason: Reason = ""
    after: Instant | None = None
    before: Instant | None = None
    limit: int = Field(default=100, ge=1, le=1000)
    per_second: float = Field(default=5.0, gt=0, le=100)
    dry_run: bool = False


@router.read("/api/dead-letters")
async def list_dead_letters(
    services: ServicesDep, job: JobParameter = None, limit: Limit = 50, continuation: Continuation = None
) -> DeadLetterList:
    """List the runs and messages that failed permanently, newest first."""
    letters = await services.dead_letters.list_page(job=job, limit=limit, continuation=continuation)
    if job is not None and not letters.dead_letters:
        # A deleted job can still have letters. A name that never existed is a typing error.
        services.queries.require_job(job)
    return letters


@router.read("/api/dead-letters/{letter_id}")
async def get_dead_letter(services: ServicesDep, caller: CallerDep, letter_id: LetterId) -> DeadLetterDetail:
    """Return a dead letter with all its data."""
    letter = await services.dead_letters.find(letter_id, caller.principal)
    if letter is None:
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"There is no dead letter {letter_id!r}; it may have been discarded, or the retention has removed it. "
            "GET /api/dead-letters lists them.",
        )
    return letter


@router.operate("/api/dead-letters/replay", status_code=HTTPStatus.ACCEPTED, problems=(HTTPStatus.NOT_FOUND,))
async def replay_dead_letters(services: ServicesDep, caller: CallerDep, body: ReplayRequest) -> ReplayModel:
    """Replay matching letters, oldest first, at a limited rate. Letters that are already replayed do not match.

    `dry_run`: change nothing and return the letters that would be replayed.
    """
    letter_filter = LetterFilter(job=body.job, reason=body.reason, after=body.after, before=body.before)
    return await services.operations.dead_letters.replay_all(
        letter_filter, per_second=body.per_second, limit=body.limit, dry_run=body.dry_run, caller=caller
    )


@router.operate(
    "/api/dead-letters/{letter_id}/replay", status_code=HTTPStatus.ACCEPTED, problems=(HTTPStatus.CONFLICT,)
)
async def replay_dead_letter(
    services: ServicesDep, caller: CallerDep, response: Response, letter_id: LetterId
) -> RunModel:
    """Replay a letter with the current definition of its job. 409 if it is already replayed.

    Returns the new run; its correlation id is that of the failed run.
    """
    run = await services.operations.dead_letters.replay(letter_id, caller=caller)
    response.headers["Operation-Location"] = run.url
    response.headers["Retry-After"] = POLL_RETRY_AFTER
    return run


@router.manage("/api/dead-letters/{letter_id}", status_code=HTTPStatus.NO_CONTENT)
async def discard_dead_letter(services: ServicesDep, caller: CallerDep, letter_id: LetterId) -> None:
    """Delete a dead letter permanently."""
    await services.operations.dead_letters.discard(letter_id, caller=caller)
