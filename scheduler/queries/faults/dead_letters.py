"""Selects dead letters by their reason, time and state.

Called by scheduler.api.dashboard.operations and scheduler.api.models.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from scheduler.features.jobs.queries import JobAndRunQueries
from scheduler.queries.time_range import ANY_TIME, TimeRange
from scheduler.stores.dead_letters import DeadLetter, LetterPage

LetterState = Literal["waiting", "replaying", "replayed"]
LETTER_STATES: Final[tuple[LetterState, ...]] = ("waiting", "replaying", "replayed")
"""`replaying`: its replay was interrupted; another replay continues it."""
_BATCH: Final = 100
_MAX_SCANNED: Final = 1000
"""Letters that one call reads until it has enough."""


@dataclass(frozen=True, slots=True)
class LetterCriteria:
    """What letters must match, all of it. `reason`: a part of the reason, in lower or upper case."""

    job: str = ""
    reason: str = ""
    state: LetterState | None = None
    at: TimeRange = ANY_TIME

    def matches(self, letter: DeadLetter) -> bool:
        return (
            self.job in ("", letter.job)
            and self.reason.lower() in letter.reason.lower()
            and self.state in (None, find_letter_state(letter))
            and (self.at.since is None or letter.at >= self.at.since)
            and (self.at.until is None or letter.at <= self.at.until)
        )


def find_letter_state(letter: DeadLetter) -> LetterState:
    """Return whether it waits for a replay, is replayed, or its replay was interrupted."""
    if letter.replay is None:
        return "waiting"
    return "replayed" if letter.replay.done else "replaying"


async def select_letters(
    queries: JobAndRunQueries, criteria: LetterCriteria, *, limit: int, continuation: str | None = None
) -> LetterPage:
    """Return a page of the letters that match, newest first.

    A call reads a limited number of letters, so a page may have fewer than `limit` (even none) and a continuation.

    Raises:
        InvalidContinuation: this list did not return it.
        StoreError: the store is unavailable.
    """
    found: list[DeadLetter] = []
    scanned = 0
    while scanned < _MAX_SCANNED:
        page = await queries.list_dead_letters(job=criteria.job or None, limit=_BATCH, continuation=continuation)
        for letter in page.letters:
            if criteria.at.since is not None and letter.at < criteria.at.since:
                return LetterPage(tuple(found), None)
            if criteria.matches(letter):
                if len(found) == limit:
                    return LetterPage(tuple(found), found[-1].id)
                found.append(letter)
        if page.continuation is None:
            return LetterPage(tuple(found), None)
        continuation = page.continuation
        scanned += _BATCH
    return LetterPage(tuple(found), continuation)
