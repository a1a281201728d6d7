"""Reads dead letters as the caller may see them. Called by the API, the commands and the pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scheduler.catalog.catalog import Catalog, Query
from scheduler.catalog.limited import show_letter
from scheduler.features.dead_letters.models import (
    DeadLetterDetail,
    DeadLetterList,
    DeadLetterState,
    DeadLetterSummary,
)
from scheduler.features.runs.models import view_attempt
from scheduler.features.statistics.periods import ANY_TIME, TimeRange
from scheduler.identity.principal import Principal
from scheduler.stores.dead_letters import DeadLetter, DeadLetters

_BATCH: Final = 100
_MAX_SCANNED: Final = 1000
"""Letters that one call reads until it has enough."""


@dataclass(frozen=True, slots=True)
class LetterCriteria:
    """What letters must match, all of it. `reason`: a part of the reason, in lower or upper case."""

    job: str = ""
    reason: str = ""
    state: DeadLetterState | None = None
    at: TimeRange = ANY_TIME

    def matches(self, letter: DeadLetterSummary) -> bool:
        return (
            self.job in ("", letter.job)
            and self.reason.lower() in letter.reason.lower()
            and self.state in (None, letter.state)
            and (self.at.since is None or letter.at >= self.at.since)
            and (self.at.until is None or letter.at <= self.at.until)
        )


class DeadLetterQueries(Query):
    """All methods raise StoreError; those that list raise InvalidContinuation, too."""

    def __init__(self, catalog: Catalog, letters: DeadLetters) -> None:
        self._catalog = catalog
        self._letters = letters

    async def list_page(
        self, *, job: str | None = None, limit: int = 50, continuation: str | None = None
    ) -> DeadLetterList:
        """Return a page of dead letters, newest first."""
        page = await self._letters.read_page(job=job, limit=limit, after=continuation or "")
        visible = (shown for letter in page.letters if (shown := show_letter(letter, self._catalog)))
        return DeadLetterList(dead_letters=[view_letter(letter) for letter in visible], continuation=page.continuation)

    async def select_page(
        self, criteria: LetterCriteria, *, limit: int, continuation: str | None = None
    ) -> DeadLetterList:
        """Return a page of the letters that match, newest first.

        A call reads a limited number of letters, so a page may have fewer than `limit` (even none) and a continuation.
        """
        selected: list[DeadLetterSummary] = []
        scanned = 0
        while scanned < _MAX_SCANNED:
            page = await self.list_page(job=criteria.job or None, limit=_BATCH, continuation=continuation)
            for letter in page.dead_letters:
                if criteria.at.since is not None and letter.at < criteria.at.since:
                    return DeadLetterList(dead_letters=selected, continuation=None)
                if criteria.matches(letter):
                    if len(selected) == limit:
                        return DeadLetterList(dead_letters=selected, continuation=selected[-1].id)
                    selected.append(letter)
            continuation = page.continuation
            if continuation is None:
                break
            scanned += _BATCH
        return DeadLetterList(dead_letters=selected, continuation=continuation)

    async def find(self, letter_id: str, principal: Principal) -> DeadLetterDetail | None:
        """Return a letter in any state, its definition as the principal may see it; None if no letter has this id."""
        from scheduler.identity.literals import show_definition  # which imports the models of jobs: lists do without

        letter = show_letter(await self._letters.find(letter_id), self._catalog)
        if letter is None:
            return None
        return DeadLetterDetail.from_object(
            view_letter(letter),
            correlation_id=None if letter.ticket is None else letter.ticket.correlation_id,
            attempts=[view_attempt(attempt) for attempt in letter.tried],
            definition=None if letter.definition is None else dict(show_definition(letter.definition, principal)),
            traceback=letter.traceback,
            message=letter.message,
        )


def view_letter(letter: DeadLetter) -> DeadLetterSummary:
    """Return a dead letter as lists show it."""
    ticket, replay = letter.ticket, letter.replay
    return DeadLetterSummary.from_object(
        letter,
        run_id=None if ticket is None else ticket.id,
        trigger=None if ticket is None else ticket.trigger,
        due_at=None if ticket is None else ticket.due_at,
        attempt_count=letter.attempts,
        state=_find_state(letter),
        replayed_by=None if replay is None else replay.ticket.id,
        replayed_at=None if replay is None else replay.at,
        url=f"/api/dead-letters/{letter.id}",
    )


def _find_state(letter: DeadLetter) -> DeadLetterState:
    if letter.replay is None:
        return DeadLetterState.WAITING
    return DeadLetterState.REPLAYED if letter.replay.done else DeadLetterState.REPLAYING
