"""One sweep over the runs that are open, a batch at a time. Used by recovering.

Each step is fenced by what was listed: a run that anybody has changed since then is left alone. So a sweep may go on
while runs fall due, are asked for and are cancelled.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from jobs.ports import Clock
from jobs.runs import Run, Ticket
from scheduler.catalog import Catalog
from scheduler.recovery.judging import end_of, letter_of
from scheduler.recovery.left_over import LeftOver
from scheduler.recovery.owners import Owners
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import Row, StoreError
from scheduler.stores.run_codec import decode
from scheduler.stores.run_keys import RunKey
from scheduler.stores.run_open import is_unfinished
from scheduler.stores.runs import Claim, Record, Runs, RunState
from scheduler.work.worker import Worker

_log = logging.getLogger("scheduler.recovery")

QUEUED_FOR = timedelta(seconds=60)
"""A queued run that waits for so long, and is no living process's, has nobody who means to perform it."""

Submit = Callable[[Ticket], asyncio.Task[None] | None]


@dataclass(frozen=True, slots=True)
class Parts:
    """What a sweep works with."""

    catalog: Catalog
    runs: Runs
    dead_letters: DeadLetters
    worker: Worker
    submit: Submit
    clock: Clock
    left_over: LeftOver


class Sweep:
    """`since`: when it began. `queued_for`: queued runs are new for so long. Runs that finished until `told_until`, and
    were not followed up, are nobody's any more."""

    def __init__(
        self, parts: Parts, owners: Owners, since: datetime, *, queued_for: timedelta, told_until: datetime
    ) -> None:
        self._parts = parts
        self._owners = owners
        self._since = since
        self._queued_for = queued_for
        self._told_until = told_until
        self._again: dict[str, list[Claim]] = {}
        self._counted: Counter[str] = Counter()

    async def recover(self, rows: Sequence[Row]) -> None:
        """Recover a batch, in the order of the whole list. Raises StoreError, after everything that can be done is
        done."""
        parts = self._parts
        unsettled, unfinished = _read(rows)
        finished = await parts.runs.finished(unsettled)
        await self._tell([(run, None) for run in finished if run.finished_at <= self._told_until])
        ends: list[tuple[Record, Run]] = []
        again: list[Record] = []
        for record in filter(self._is_abandoned, unfinished):
            run = end_of(record, parts.catalog.find(record.ticket.job), parts.clock, self._since)
            if run is not None:
                ends.append((record, run))
            elif record.state is RunState.RUNNING:
                again.append(record)
            else:
                self._perform(record.ticket)
        await self._end(ends)
        await self._take_over(again)
        self._begin_again(but=RunKey.read(rows[-1].key).job)

    def close(self) -> None:
        """Begin what was taken over, and log what was done."""
        self._begin_again()
        if self._counted:
            counts = ", ".join(f"{number} {what}" for what, number in self._counted.items())
            _log.warning("recovered runs that other processes left open: %s", counts)

    def _is_abandoned(self, record: Record) -> bool:
        """Whether nobody is at this queued or running run."""
        return self._is_dropped(record) if record.state is RunState.RUNNING else self._is_stranded(record)

    def _is_dropped(self, record: Record) -> bool:
        """Whether nobody performs a running run."""
        worker, now = self._parts.worker, self._parts.clock.now()
        has_ended = record.lease_until is None or record.lease_until <= now
        if record.owner == worker.owner:
            return has_ended and not worker.holds(record.ticket.id)
        # Also if this process has just taken the ticket: the ticks do so, and find it claimed.
        return has_ended or self._owners.is_free(record.owner, self._parts.catalog.find(record.ticket.job))

    def _is_stranded(self, record: Record) -> bool:
        """Whether nobody means to perform a queued run."""
        worker, run_id = self._parts.worker, record.ticket.id
        if worker.holds(run_id) or self._parts.left_over.has(run_id):
            return False
        # What this process has queued it hands over in a moment.
        queued_for = QUEUED_FOR if record.owner == worker.owner else self._queued_for
        is_new = bool(queued_for) and record.ticket.due_at > self._since - queued_for
        return not (is_new or self._owners.is_attended(record.owner))

    def _perform(self, ticket: Ticket) -> None:
        self._counted["queued ones are performed"] += 1
        self._parts.left_over.add([ticket.id], partial(self._parts.submit, ticket))

    async def _end(self, ends: Sequence[tuple[Record, Run]]) -> None:
        """The letters first, so that no crash loses one."""
        parts = self._parts
        letters = {
            run.id: letter
            for record, run in ends
            if (letter := letter_of(record, run, parts.catalog.find(run.job))) is not None
        }
        await parts.dead_letters.add_all([*letters.values()])
        answers = await parts.runs.end_all(ends)
        ended = [run for (_, run), answer in zip(ends, answers, strict=True) if answer is True]
        self._counted.update(f"recorded as {run.outcome}" for run in ended)
        await self._tell([(run, letters.get(run.id)) for run in ended])
        _raise_first(answers)

    async def _take_over(self, records: Sequence[Record]) -> None:
        parts = self._parts
        wanted = [(record, parts.worker.lease_until(record.ticket)) for record in records]
        answers = await parts.runs.take_over_all(wanted, parts.worker.owner)
        now = parts.clock.now()
        for answer in answers:
            if not isinstance(answer, Claim):
                continue
            self._counted["run again"] += 1
            if answer.ticket.due_at > now:
                # Claimed ahead by the process that died: it is due as any other.
                parts.worker.submit_claimed(answer)
            else:
                parts.worker.hold(answer)
                self._again.setdefault(answer.ticket.job, []).append(answer)
        _raise_first(answers)

    def _begin_again(self, but: str = "") -> None:
        """Begin the turns of the jobs whose runs are all taken over: not of `but`, which may have more."""
        for job in [job for job in self._again if job != but]:
            claims = self._again.pop(job)
            self._parts.left_over.add(
                [claim.ticket.id for claim in claims], partial(self._parts.worker.submit_claimed, *claims)
            )

    async def _tell(self, runs: Sequence[tuple[Run, DeadLetter | None]]) -> None:
        for error in await self._parts.worker.telling.tell_all(runs):
            _log.warning("%s", error)


def _read(rows: Sequence[Row]) -> tuple[list[RunKey], list[Record]]:
    """The keys of finished runs that are not settled, and the records of those that are queued or running."""
    unsettled: list[RunKey] = []
    unfinished: list[Record] = []
    for row in rows:
        try:
            if is_unfinished(row):
                unfinished.append(decode(row))
            else:
                unsettled.append(RunKey.read(row.key))
        except (ValueError, KeyError, TypeError) as error:
            # One damaged row must not keep all others from being recovered.
            _log.error("could not read the open run %s: %s; it is left as it is", row.key, error)
    return unsettled, unfinished


def _raise_first(answers: Sequence[object]) -> None:
    for answer in answers:
        if isinstance(answer, StoreError):
            raise answer
