"""One sweep over the open runs, a batch at a time: which of their processes have died, and what their runs become.

Each step is fenced by the etags of the listed rows: a run that was changed since then is skipped. So a sweep may run
while other runs are due, requested or cancelled.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from jobs.ports import Clock
from jobs.running.run_factories import interrupted_run, skipped_run
from jobs.runs import Run, Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import Catalog, CatalogJob
from scheduler.hosts.embedded.ticker import ON_TIME_TOLERANCE
from scheduler.stores.dead_letters import DeadLetter, DeadLetters
from scheduler.stores.port import Row, StoreError
from scheduler.stores.runs.codec import decode_record
from scheduler.stores.runs.keys import RunKey
from scheduler.stores.runs.open_runs import is_unfinished
from scheduler.stores.runs.repository import Claim, ClaimLost, RunRecord, RunResult, Runs, RunState
from scheduler.worker.worker import Worker

OwnerCheck = Callable[[str], bool | None]


def has_died(owner: str) -> bool | None:
    """Return whether the owner (host:pid:token) has died; None if this process cannot check it."""
    host, _, rest = owner.partition(":")
    pid, _, _ = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit() or sys.platform == "win32":
        return None
    if int(pid) == os.getpid():
        return True  # an earlier process with the same number: own claims are never checked
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class OwnerLiveness:
    """The owners in one sweep. Each is checked once, for all its runs.

    `has_replicas`: other processes run jobs of this store, so an owner that cannot be checked may be one of them.
    """

    def __init__(self, has_died: OwnerCheck, *, has_replicas: bool = False) -> None:
        self._check_owner = has_died
        self._has_replicas = has_replicas
        self._died_by_owner: dict[str, bool | None] = {}

    def is_alive(self, owner: str) -> bool:
        """Return whether the process that queued a run is alive and will execute it.

        A command that executes many runs in order may reach this one much later.
        """
        return bool(owner) and self._has_died(owner) is False

    def can_take_over(self, owner: str, entry: CatalogJob | None) -> bool:
        """Return whether recovery may take over this owner's run before its lease ends.

        A process of another host cannot be checked; without replicas it is mostly the previous container. A run that
        must not be executed twice waits for the end of its lease.
        """
        died, is_repeatable = self._has_died(owner), entry is None or entry.job.effect == "repeatable"
        if self._has_replicas:
            return died is True and is_repeatable  # a process that was suspended continues
        return died if died is not None else is_repeatable

    def _has_died(self, owner: str) -> bool | None:
        if owner not in self._died_by_owner:
            self._died_by_owner[owner] = self._check_owner(owner)
        return self._died_by_owner[owner]


StartTurn = Callable[[], asyncio.Task[None] | None]
"""Submits runs to the worker. Returns their task; None if the program ends."""


class RecoveryQueue:
    """`max_concurrent_turns`: turns in-flight at most. A turn is one or more runs in order."""

    def __init__(self, max_concurrent_turns: int) -> None:
        self.max_concurrent_turns = max_concurrent_turns
        self._waiting: deque[tuple[Sequence[str], StartTurn]] = deque()
        self._ids: set[str] = set()
        self._running: set[asyncio.Task[None]] = set()

    def add(self, run_ids: Sequence[str], begin: StartTurn) -> None:
        """Start a turn with these runs as soon as the limit allows."""
        self._waiting.append((run_ids, begin))
        self._ids.update(run_ids)
        self._start_next()

    def contains(self, run_id: str) -> bool:
        """Return whether the run waits here for its turn."""
        return run_id in self._ids

    @property
    def waiting_count(self) -> int:
        """Number of runs that wait here for their turn."""
        return len(self._ids)

    def _start_next(self) -> None:
        while self._waiting and len(self._running) < self.max_concurrent_turns:
            run_ids, begin = self._waiting.popleft()
            self._ids.difference_update(run_ids)
            task = begin()
            if task is not None:
                self._running.add(task)
                task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._start_next()


def end_without_rerun(
    record: RunRecord, entry: CatalogJob | None, clock: Clock, since: datetime, on_time: timedelta = ON_TIME_TOLERANCE
) -> Run | None:
    """Return the end of a run that is not executed again; None if it must be executed.

    `entry` None: the job was removed. `since`: the start of the recovery, by which lateness counts. `on_time`: how late
    a run may be to count as on time.
    """
    ticket = record.ticket
    if record.state is RunState.QUEUED:
        # A requested run, or one that a stopping process released.
        if entry is None or _is_still_required(record, entry, since, on_time):
            return None
        why = f"it was due while no scheduler was running (catch_up: {entry.job.catch_up.policy})"
        return skipped_run(entry.job, ticket, clock, Reason(ReasonCode.MISSED, why))
    if entry is not None and entry.job.effect == "repeatable" and _is_still_required(record, entry, since, on_time):
        return None
    return interrupted_run(ticket, ticket.due_at, clock.now(), None if entry is None else entry.job)


def dead_letter_for(record: RunRecord, run: Run, entry: CatalogJob | None) -> DeadLetter | None:
    """Return the dead letter of a run that ends so; None if its job requires none."""
    if entry is None or not (entry.job.dead_letter and run.outcome.down):
        return None
    return DeadLetter.from_run(run, record.ticket, entry.job)


def _is_still_required(record: RunRecord, entry: CatalogJob, since: datetime, on_time: timedelta) -> bool:
    """Return whether the run must still be executed: a requested run, or one that the catch-up policy includes."""
    job, ticket = entry.job, record.ticket
    late = since - ticket.due_at
    if ticket.trigger is not Trigger.SCHEDULE or late <= on_time or job.schedule is None:
        return True
    if job.catch_up.policy == "none" or late.total_seconds() > job.catch_up.within:
        return False
    following = job.schedule.next_after(ticket.due_at)
    return job.catch_up.policy == "all" or following is None or following > since


_log = logging.getLogger("scheduler.hosts.embedded.recovery")

ABANDONED_QUEUED_AFTER = timedelta(seconds=60)
"""After this time, no process will execute a queued run whose owner is dead."""


@dataclass(frozen=True, slots=True)
class SweepDependencies:
    """The dependencies of a sweep."""

    catalog: Catalog
    runs: Runs
    dead_letters: DeadLetters
    worker: Worker
    clock: Clock
    queue: RecoveryQueue
    on_time: timedelta = ON_TIME_TOLERANCE


class RecoverySweep:
    """`since`: the start of the sweep. `queued_grace`: how long queued runs count as new.

    No other process follows up an unacknowledged run that finished before `finished_until`.
    """

    def __init__(
        self,
        parts: SweepDependencies,
        owners: OwnerLiveness,
        since: datetime,
        *,
        queued_grace: timedelta,
        finished_until: datetime,
    ) -> None:
        self._dependencies = parts
        self._owners = owners
        self._since = since
        self._queued_grace = queued_grace
        self._finished_until = finished_until
        self._claims_to_rerun: dict[str, list[Claim]] = {}
        self._counted: Counter[str] = Counter()

    async def recover_batch(self, rows: Sequence[Row]) -> None:
        """Recover a batch, in the order of the list. Raises StoreError after all runs were tried."""
        parts = self._dependencies
        unacknowledged, unfinished = _read(rows)
        # Only those that were due before can have finished before: the others are not read.
        finished = await parts.runs.read_finished([key for key in unacknowledged if key.due_at <= self._finished_until])
        unpublished = [run for run in finished if run.finished_at <= self._finished_until]
        for end in unpublished:
            await parts.worker.discard_stale_letter(end)
        await self._publish([(run, None) for run in unpublished])
        ends: list[tuple[RunRecord, Run]] = []
        to_rerun: list[RunRecord] = []
        for record in filter(self._is_abandoned, unfinished):
            entry = parts.catalog.find_job(record.ticket.job)
            run = end_without_rerun(record, entry, parts.clock, self._since, parts.on_time)
            if run is not None:
                ends.append((record, run))
            elif record.state is RunState.RUNNING:
                to_rerun.append(record)
            else:
                self._submit_queued(record.ticket)
        await self._record_ends(ends)
        await self._take_over(to_rerun)
        self._submit_reruns(except_job=RunKey.from_row_key(rows[-1].key).job)

    def close(self) -> None:
        """Submit the rest of the recovered runs, and log the counts."""
        self._submit_reruns()
        if self._counted:
            counts = ", ".join(f"{number} {what}" for what, number in self._counted.items())
            _log.warning("recovered the open runs of other processes: %s", counts)

    def _is_abandoned(self, record: RunRecord) -> bool:
        """Return whether no process executes this queued or running run."""
        return (
            self._is_abandoned_running(record)
            if record.state is RunState.RUNNING
            else self._is_abandoned_queued(record)
        )

    def _is_abandoned_running(self, record: RunRecord) -> bool:
        """Return whether no process executes a running run."""
        worker, now = self._dependencies.worker, self._dependencies.clock.now()
        has_ended = record.lease_until is None or record.lease_until <= now
        if record.owner == worker.owner:
            return has_ended and not worker.owns(record.ticket.id)
        # Even if this process has submitted the ticket: a tick does so, and finds it claimed.
        return has_ended or self._owners.can_take_over(
            record.owner, self._dependencies.catalog.find_job(record.ticket.job)
        )

    def _is_abandoned_queued(self, record: RunRecord) -> bool:
        """Return whether no process will execute a queued run."""
        worker, run_id = self._dependencies.worker, record.ticket.id
        if worker.owns(run_id) or self._dependencies.queue.contains(run_id):
            return False
        # This process submits its own queued runs in a moment.
        queued_for = ABANDONED_QUEUED_AFTER if record.owner == worker.owner else self._queued_grace
        is_new = bool(queued_for) and record.ticket.due_at > self._since - queued_for
        return not (is_new or self._owners.is_alive(record.owner))

    def _submit_queued(self, ticket: Ticket) -> None:
        self._counted["queued runs are executed"] += 1
        self._dependencies.queue.add([ticket.id], partial(self._dependencies.worker.submit, ticket, is_recovered=True))

    async def _record_ends(self, ends: Sequence[tuple[RunRecord, Run]]) -> None:
        """Record the ends. Raises the first StoreError after all were tried."""
        parts = self._dependencies
        letters = {
            run.id: letter
            for record, run in ends
            if (letter := dead_letter_for(record, run, parts.catalog.find_job(run.job))) is not None
        }
        without = [end for end in ends if end[1].id not in letters]
        answers = await parts.runs.finish_open_all(without)
        ended = [run for (_, run), answer in zip(without, answers, strict=True) if answer is True]
        for run in ended:
            await parts.worker.discard_stale_letter(run)
        of_letters = await self._record_dead_letters(ends, letters, ended)
        self._counted.update(f"recorded as {run.outcome}" for run in ended)
        await self._publish([(run, letters.get(run.id)) for run in ended])
        _raise_first([*answers, *of_letters])

    async def _record_dead_letters(
        self, ends: Sequence[tuple[RunRecord, Run]], letters: Mapping[str, DeadLetter], ended: list[Run]
    ) -> Sequence[object]:
        """Record the ends that have a dead letter, and add these runs to `ended`. Return the answers of the store.

        The list of open runs may be minutes old. So each run is claimed first: only its owner writes its letter, and
        then its end, so that no crash loses a letter, and no run that has succeeded meanwhile gets one.
        """
        parts = self._dependencies
        runs = {record.ticket.id: run for record, run in ends if run.id in letters}
        if not runs:
            return ()
        leases = [(record, parts.worker.lease_end(record.ticket)) for record, _ in ends if record.ticket.id in runs]
        claims = await parts.runs.take_over_all(leases, parts.worker.owner)
        results = [RunResult(claim, runs[claim.ticket.id], False) for claim in claims if isinstance(claim, Claim)]
        await parts.dead_letters.add_all([letters[result.run.id] for result in results])
        answers = await parts.runs.finish_all(results)
        ended += [result.run for result, answer in zip(results, answers, strict=True) if answer is None]
        # Who took a run over from this process discards its letter if the run succeeds.
        return [*claims, *(answer for answer in answers if not isinstance(answer, ClaimLost))]

    async def _take_over(self, records: Sequence[RunRecord]) -> None:
        parts = self._dependencies
        leases = [(record, parts.worker.lease_end(record.ticket)) for record in records]
        answers = await parts.runs.take_over_all(leases, parts.worker.owner)
        now = parts.clock.now()
        for answer in answers:
            if not isinstance(answer, Claim):
                continue
            self._counted["run again"] += 1
            if answer.ticket.due_at > now:
                # The dead process claimed it before its instant, which is still to come.
                parts.worker.submit_claimed(answer)
            else:
                parts.worker.hold_claims(answer)
                self._claims_to_rerun.setdefault(answer.ticket.job, []).append(answer)
        _raise_first(answers)

    def _submit_reruns(self, except_job: str = "") -> None:
        """Submit the runs of jobs whose runs are all claimed. `except_job` may have more."""
        for job in [job for job in self._claims_to_rerun if job != except_job]:
            claims = self._claims_to_rerun.pop(job)
            self._dependencies.queue.add(
                [claim.ticket.id for claim in claims], partial(self._dependencies.worker.submit_claimed, *claims)
            )

    async def _publish(self, runs: Sequence[tuple[Run, DeadLetter | None]]) -> None:
        for error in await self._dependencies.worker.publisher.publish_all(runs):
            _log.warning("%s", error)


def _read(rows: Sequence[Row]) -> tuple[list[RunKey], list[RunRecord]]:
    """Return the keys of unacknowledged finished runs, and the records of queued or running runs."""
    unacknowledged: list[RunKey] = []
    unfinished: list[RunRecord] = []
    for row in rows:
        try:
            if is_unfinished(row):
                unfinished.append(decode_record(row))
            else:
                unacknowledged.append(RunKey.from_row_key(row.key))
        except (ValueError, KeyError, TypeError) as error:
            # A damaged row must not stop the recovery of the others.
            _log.error("could not read the open run %s: %s; it stays unchanged", row.key, error)
    return unacknowledged, unfinished


def _raise_first(answers: Sequence[object]) -> None:
    for answer in answers:
        if isinstance(answer, StoreError):
            raise answer
