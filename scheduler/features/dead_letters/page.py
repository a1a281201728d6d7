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
from scheduler.features.dead_letters.routes import LetterId
from scheduler.features.dead_letters.service import (
    LETTER_STATES,
    MAX_REPLAYS,
    LetterCriteria,
    find_letter_state,
    select_letters,
)
from scheduler.identity.literals import show_definition
from scheduler.services import Services
from scheduler.stores.dead_letters import LetterPage

_MILLISECOND: Final = timedelta(milliseconds=1)

router = ApiRouter(in_schema=False, by_tag=True)


@router.read(DEAD_LETTERS_PATH)
async def show_dead_letters(
    request: Request,
    uses: ServicesDep,
    period: PeriodDep,
    job: FilterText = "",
    reason: FilterText = "",
    state: FilterText = "",
    continuation: Continuation = None,
) -> Response:
    """Show a page of letters, newest first, and a form that replays all that match."""
    parse_choice("state", state, ("", *LETTER_STATES))
    known = next((each for each in LETTER_STATES if each == state), None)  # with its type
    criteria = LetterCriteria(job.strip(), reason.strip(), known, period.period)
    found, error = await _read_letters(uses, criteria, period, continuation or None)
    query = keep_filters(
        job=criteria.job, reason=criteria.reason, state=known or "", since=period.since, until=period.until
    )
    return await respond(
        request,
        uses,
        "operations/dead_letters.html",
        page="dead_letters",
        path_of_page=DEAD_LETTERS_PATH,
        criteria=criteria,
        states=LETTER_STATES,
        state_of=find_letter_state,
        period=period,
        names=offer_jobs(uses.queries),
        letters=found,
        error=error,
        query=query,
        replay=_replay_body(criteria, found),
        replayable=sum(
            find_letter_state(letter) != "replayed" and letter.ticket is not None for letter in found.letters
        ),
        most=MAX_REPLAYS,
        is_first=not continuation,
    )


@router.read(f"{DEAD_LETTERS_PATH}/{{letter_id}}")
async def show_dead_letter(request: Request, uses: ServicesDep, caller: CallerDep, letter_id: LetterId) -> Response:
    """Show a letter in any state."""
    letter = await uses.queries.find_dead_letter(letter_id)
    if letter is None:
        raise ApiError(
            HTTPStatus.NOT_FOUND,
            f"There is no dead letter {letter_id!r}; it may have been discarded, or the retention has removed it.",
        )
    definition = None if letter.definition is None else show_definition(letter.definition, caller.principal)
    return await respond(
        request,
        uses,
        "operations/dead_letter.html",
        page="dead_letters",
        path_of_page=DEAD_LETTERS_PATH,
        letter=letter,
        state=find_letter_state(letter),
        job_exists=letter.job is not None and letter.job in uses.queries.current_jobs(),
        definition=None if definition is None else json.dumps(definition, indent=2, ensure_ascii=False),
    )


async def _read_letters(
    uses: Services, criteria: LetterCriteria, period: PeriodFilter, continuation: str | None
) -> tuple[LetterPage, str]:
    """Return the letters, and what is wrong with a filter."""
    if period.error:
        return LetterPage((), None), period.error
    found = await select_letters(uses.queries, criteria, limit=PAGE_SIZE, continuation=continuation)
    # A deleted job can still have letters.
    return found, find_job_error(uses.queries, criteria.job) if criteria.job and not found.letters else ""


def _replay_body(criteria: LetterCriteria, found: LetterPage) -> dict[str, Any]:
    """Return the request that replays the letters of the filter: without one, those up to the newest that is shown."""
    since, until = criteria.at.since, criteria.at.until
    body = keep_filters(job=criteria.job, reason=criteria.reason)
    if since is not None:
        body["after"] = format_iso_instant(since, precise=True)
    if until is not None:
        body["before"] = format_iso_instant(until + _MILLISECOND, precise=True)
    if not body and found.letters:
        body["before"] = format_iso_instant(found.letters[0].at + _MILLISECOND, precise=True)
    return body
