"""Replays and discards dead letters.

A replay is a new run with the current definition; its correlation id is that of the failed run. The letter is first
marked with the ticket of the replay, then the run is stored and dispatched, then the mark is set to done. A second
replay after a crash in between uses the same ticket, so nothing runs twice.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.formats import format_iso_instant
from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.audit.trail import AuditedChange, AuditTrail, audited, log_change, recorded
from scheduler.catalog.catalog import Catalog, Operation
from scheduler.catalog.limited import hide_origin
from scheduler.dispatch.port import Dispatch
from scheduler.errors import Conflict, InvalidArgument, NotFound
from scheduler.features.dead_letters.models import ReplayModel
from scheduler.features.dead_letters.queries import view_letter
from scheduler.features.runs.models import RunModel, view_run
from scheduler.identity.principal import Caller
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.runs.repository import RunRecord, Runs

MAX_REPLAYS = 1000
"""Letters that one call replays."""
MAX_REPLAYS_PER_SECOND = 100.0
"""Runs started per second."""
_REPLAY_BATCH = 20
"""Letters that are marked, stored and dispatched concurrently."""


@dataclass(frozen=True, slots=True)
class LetterFilter:
    """Matches letters that are not replayed yet by all given criteria. `reason`: a substring of the reason."""

    job: str | None = None
    reason: str = ""
    after: datetime | None = None
    before: datetime | None = None

    def matches(self, letter: DeadLetter) -> bool:
        if letter.ticket is None or (letter.replay is not None and letter.replay.done):
            return False
        return (
            self.job in (None, letter.job)
            and self.reason.lower() in letter.reason.lower()
            and (self.after is None or letter.at >= self.after)
            and (self.before is None or letter.at < self.before)
        )


class DeadLetterReplayer(Operation):
    """Replays dead letters, one or those that match a filter, and discards them."""

    def __init__(
        self,
        catalog: Catalog,
        letters: DeadLetters,
        runs: Runs,
        dispatch: Dispatch,
        clock: Clock,
        audit: AuditTrail,
    ) -> None:
        self._catalog = catalog
        self._letters = letters
        self._runs = runs
        self._dispatch = dispatch
        self._clock = clock
        self._audit = audit

    async def replay(self, letter_id: str, *, caller: Caller) -> RunModel:
        """Queue a run that replays a letter. Return the run.

        Raises:
            NotFound: there is no such letter.
            Conflict: the letter is already replayed, or contains no ticket.
            UnknownJob: its job no longer exists.
            StoreError, DispatchError: retry; it creates no second run.
        """
        letter = await self._letters.find(letter_id)
        if letter is None or not self._catalog.is_visible(letter.job, letter.at):
            raise _letter_not_found(letter_id)
        if letter.ticket is None:
            raise Conflict(f"dead letter {letter_id} contains a message that is not a ticket, so it cannot be replayed")
        if letter.replay is not None and letter.replay.done:
            raise Conflict(f"dead letter {letter_id} was already replayed by run {letter.replay.ticket.id}")
        _, records = await self._replay([letter], [self._clock.now()], caller)
        if not records:
            raise _letter_not_found(letter_id)
        return view_run(hide_origin(records[0], self._catalog))

    async def replay_all(
        self, letter_filter: LetterFilter, *, per_second: float, limit: int, dry_run: bool = False, caller: Caller
    ) -> ReplayModel:
        """Replay up to `limit` matching letters, oldest first, and start `per_second` runs per second.

        Raises:
            UnknownJob: the filter names a job that does not exist.
            InvalidArgument: the filter is empty, or a number is out of its bounds.
            StoreError, DispatchError: some letters are replayed; retry for the others.
        """
        self._check_arguments(letter_filter, per_second, limit)
        visible = [letter for letter in await self._read_all() if self._catalog.is_visible(letter.job, letter.at)]
        fitting = [letter for letter in visible if letter_filter.matches(letter)]
        replayable = [letter for letter in fitting if letter.job in self._catalog]
        unknown = sorted({str(letter.job) for letter in fitting if letter.job not in self._catalog})
        chosen = replayable[-limit:][::-1]
        if not dry_run:
            chosen = await self._replay_paced(chosen, per_second, caller)
        return ReplayModel(
            dry_run=dry_run,
            dead_letters=[view_letter(letter) for letter in chosen],
            remaining=max(0, len(replayable) - limit),
            unknown_jobs=unknown,
        )

    async def discard(self, letter_id: str, *, caller: Caller) -> None:
        """Delete a letter permanently. Raises NotFound, StoreError."""
        letter = await self._letters.find(letter_id)
        if letter is None or not self._catalog.is_visible(letter.job, letter.at):
            raise _letter_not_found(letter_id)
        change = AuditedChange(
            "dead_letter.discard",
            letter_id,
            f"dead letter {letter_id} was discarded",
            _jobs_of((letter,)),
            before={"job": letter.job, "at": format_iso_instant(letter.at, precise=True), "reason": letter.reason},
        )
        async with audited(self._audit, caller, change):
            if not await self._letters.discard(letter_id):
                raise _letter_not_found(letter_id)

    def _check_arguments(self, letter_filter: LetterFilter, per_second: float, limit: int) -> None:
        if letter_filter == LetterFilter():
            raise InvalidArgument("job", "no filter is given: set at least one of job, reason, after and before")
        if letter_filter.job is not None:
            self._catalog.get_job(letter_filter.job)
        if not 0 < per_second <= MAX_REPLAYS_PER_SECOND:
            raise InvalidArgument(
                "per_second", f"{per_second:g} is not greater than 0 and at most {MAX_REPLAYS_PER_SECOND:g}"
            )
        if not 1 <= limit <= MAX_REPLAYS:
            raise InvalidArgument("limit", f"{limit} is not between 1 and {MAX_REPLAYS}")

    async def _read_all(self) -> Sequence[DeadLetter]:
        """Return all letters, newest first."""
        letters: list[DeadLetter] = []
        after: str | None = ""
        while after is not None:
            page = await self._letters.read_page(limit=MAX_REPLAYS, after=after)
            letters += page.letters
            after = page.continuation
        return letters

    async def _replay_paced(self, letters: Sequence[DeadLetter], per_second: float, caller: Caller) -> list[DeadLetter]:
        """Replay letters with due instants spread over time: a worker waits for the instant of a ticket."""
        now = self._clock.now()
        replayed: list[DeadLetter] = []
        for start in range(0, len(letters), _REPLAY_BATCH):
            together = letters[start : start + _REPLAY_BATCH]
            due = [now + timedelta(seconds=(start + number) / per_second) for number in range(len(together))]
            replayed += (await self._replay(together, due, caller))[0]
        return replayed

    async def _replay(
        self, letters: Sequence[DeadLetter], due: Sequence[datetime], caller: Caller
    ) -> tuple[list[DeadLetter], list[RunRecord]]:
        """Return the letters, without those discarded meanwhile, and the runs that replay them."""
        async with recorded(self._audit, caller, _replay_change(letters)):
            marked = await asyncio.gather(*map(self._mark, letters, due))
            started = [letter for letter in marked if letter is not None]
            tickets = [letter.replay.ticket for letter in started if letter.replay is not None]
            records = await asyncio.gather(*map(self._runs.enqueue, tickets))
            await self._dispatch.send(tickets)
            ended = await asyncio.gather(*(self._letters.finish_replay(letter.id) for letter in started))
        for letter, ticket in zip(started, tickets, strict=True):
            log_change(f"dead letter {letter.id} is replayed by run {ticket.id}", caller)
        return [after or before for before, after in zip(started, ended, strict=True)], records

    async def _mark(self, letter: DeadLetter, due_at: datetime) -> DeadLetter | None:
        assert letter.ticket is not None, "letters without a ticket are excluded earlier"
        ticket = Ticket.replayed(letter.ticket, due_at, self._catalog.get_job(letter.ticket.job).generation)
        return await self._letters.start_replay(letter.id, ticket, self._clock.now())


def _replay_change(letters: Sequence[DeadLetter]) -> AuditedChange:
    first, more = letters[0].id, len(letters) - 1
    summary = f"dead letter {first} is replayed" if not more else f"{len(letters)} dead letters are replayed"
    after = {"letters": [letter.id for letter in letters]} if more else None
    return AuditedChange("dead_letter.replay", "" if more else first, summary, _jobs_of(letters), after=after)


def _jobs_of(letters: Sequence[DeadLetter]) -> tuple[str, ...]:
    return tuple(sorted({letter.job for letter in letters if letter.job is not None}))


def _letter_not_found(letter_id: str) -> NotFound:
    return NotFound(
        f"there is no dead letter {letter_id!r}; it may have been discarded, or the retention has removed it"
    )
