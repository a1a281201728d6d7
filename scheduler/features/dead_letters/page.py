"""The pages of dead letters: the list at /api/dashboard/dead-letters, and one letter with all its data.

They replay and discard letters through the API.
"""

from __future__ import annotations

import json
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final

from fastapi import Request
from fastapi.responses import Response

from jobs.formats import format_iso_instant
from scheduler.api.dashboard.rendering.filters import (
    PAGE_SIZE,
    FilterText,
    PeriodDep,
    PeriodFilter,
    find_job_error,
    keep_filters,
    offer_jobs,
)
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import DEAD_LETTERS_PATH
from scheduler.api.problems import ApiError
from scheduler.api.routing import ApiRouter, CallerDep, Continuation, ServicesDep, parse_choice
from scheduler.features.dead_letters.models import DeadLetterList, DeadLetterState
from scheduler.features.dead_letters.queries import LetterCriteria
from scheduler.features.dead_letters.routes import LetterId
from scheduler.features.dead_letters.service import MAX_REPLAYS
from scheduler.services import Services

_MILLISECOND: Final = timedelta(milliseconds=1)

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(DEAD_LETTERS_PATH)
async def show_dead_letters(
    request: Request,
    services: ServicesDep,
    period: PeriodDep,
    job: FilterText = "",
    reason: FilterText = "",
    state: FilterText = "",
    continuation: Continuation = None,
) -> Response:
    """Show a page of letters, newest first, and a form that replays all that match."""
    parse_choice("state", state, ("", *DeadLetterState))
    criteria = LetterCriteria(job.strip(), reason.strip(), DeadLetterState(state) if state else None, period.period)
    letters, error = await _read_letters(services, criteria, period, continuation or None)
    query = keep_filters(job=criteria.job, reason=criteria.reason, state=state, since=period.since, until=period.until)
    return await respond(
        request,
        services,
        "operations/dead_letters.html",
        page="dead_letters",
        path_of_page=DEAD_LETTERS_PATH,
        criteria=criteria,
        states=tuple(DeadLetterState),
        period=period,
        names=offer_jobs(services.queries),
        letters=letters,
        error=error,
        query=query,
        replay=_replay_body(criteria, letters),
        replayable=sum(
            letter.state is not DeadLetterState.REPLAYED and letter.run_id is not None
            for letter in letters.dead_letters
        ),
        most=MAX_REPLAYS,
        is_first=not continuation,
    )


@router.read(f"{DEAD_LETTERS_PATH}/{{letter_id}}")
async def show_dead_letter(request: Request, services: ServicesDep, caller: CallerDep, letter_id: LetterId) -> Response:
    """Show a letter in any state."""
    letter = await services.dead_letters.find(letter_id, caller.principal)
    if letter is None:
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"There is no dead letter {letter_id!r}; it may have been discarded, or the retention has removed it.",
        )
    definition = letter.definition
    return await respond(
        request,
        services,
        "operations/dead_letter.html",
        page="dead_letters",
        path_of_page=DEAD_LETTERS_PATH,
        letter=letter,
        job_exists=letter.job is not None and letter.job in services.queries.current_jobs(),
        definition=None if definition is None else json.dumps(definition, indent=2, ensure_ascii=False),
    )


async def _read_letters(
    services: Services, criteria: LetterCriteria, period: PeriodFilter, continuation: str | None
) -> tuple[DeadLetterList, str]:
    """Return the letters, and what is wrong with a filter."""
    if period.error:
        return DeadLetterList(dead_letters=[], continuation=None), period.error
    letters = await services.dead_letters.select_page(criteria, limit=PAGE_SIZE, continuation=continuation)
    # A deleted job can still have letters.
    is_unknown = criteria.job and not letters.dead_letters
    return letters, find_job_error(services.queries, criteria.job) if is_unknown else ""


def _replay_body(criteria: LetterCriteria, letters: DeadLetterList) -> dict[str, Any]:
    """Return the request that replays the letters of the filter: without one, those up to the newest that is shown."""
    since, until = criteria.at.since, criteria.at.until
    body = keep_filters(job=criteria.job, reason=criteria.reason)
    if since is not None:
        body["after"] = format_iso_instant(since, precise=True)
    if until is not None:
        body["before"] = format_iso_instant(until + _MILLISECOND, precise=True)
    if not body and letters.dead_letters:
        body["before"] = format_iso_instant(letters.dead_letters[0].at + _MILLISECOND, precise=True)
    return body
