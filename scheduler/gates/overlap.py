"""The gate of overlap: decides about a run that is due while another run of its job is in-flight.

Built by scheduler.gates. Within a process the decision is exact, because the queue of each job is in memory. Where
other processes execute runs of the job too, the gate also reads the open runs from the store. Where runs wait for each
other, a run holds the only slot of its job meanwhile, so no two of them overlap.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.gates import MAX_RECHECK_BACKOFF, GateVerdict, Skip, Wait, Wakeups, next_check_at
from scheduler.gates.job_queue import (
    JobQueue,
    OtherRuns,
    OverlapDecision,
    QueuePosition,
    cancelled_by_run,
    decide_overlap,
)
from scheduler.gates.remote_runs import RemoteRuns, RemoteRunsFound

REPLAY_RECHECK_AFTER = timedelta(seconds=5)
"""Time after which a replay that waits for a run of another process is checked again; it is not urgent."""
UNRECORDED_RECHECK_AFTER = timedelta(seconds=0.25)
"""Time after which a run is checked again that waits for one that may be finished and not recorded yet."""

CancelLocalRun = Callable[[str, str], bool]
"""Cancels a run by its id and the source of the request; False if it is not in this process (RunRegistry.cancel)."""


class OverlapGate:
    """`remote`: None if all runs are in this process."""

    def __init__(
        self, clock: Clock, wakeups: Wakeups, cancel: CancelLocalRun, remote: RemoteRuns | None = None
    ) -> None:
        self._clock = clock
        self._wakeups = wakeups
        self._cancel = cancel
        self._remote = remote
        self._queues: dict[str, JobQueue] = {}

    def applies_to(self, ticket: Ticket, entry: CatalogJob) -> bool:
        # Even where runs may overlap: the job may be changed while they run, and the next run must find them.
        return True

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        queue = self._queues.get(ticket.job)
        if queue is None:
            queue = self._queues[ticket.job] = JobQueue()
        if self._remote is None and not queue:
            # The fast path: the job has no other run.
            queue.admitted[ticket.id] = QueuePosition.of_ticket(ticket)
            return None
        if entry.job.overlap == "allow" and not ticket.trigger.is_rerun:
            queue.admitted[ticket.id] = QueuePosition.of_ticket(ticket)
            return None
        if ticket.id in queue.admitted:
            # It was admitted at an earlier check, and waits at another gate.
            return await self._recheck_admitted(queue, ticket, entry)
        remote, remote_runs = self._remote_for(entry), RemoteRunsFound()
        # A run that waits already has its place in the buffer, and is not skipped because the buffer is full.
        is_accepted = ticket.id in queue.since
        # The runs of this process alone often decide, which saves the reads of the runs of other processes.
        decision = self._decide(queue, ticket, entry, remote_runs, is_accepted=is_accepted)
        if decision.kind != "skip" and (decision.kind == "wait" or remote is not None):
            queue.add_waiting(ticket)
        is_open = decision.kind == "go" or (decision.kind == "wait" and not is_accepted)
        # A start and a first wait must hold against the runs of other processes. A skip is final; a repeated wait is
        # compared with them when the run would start.
        if is_open and remote is not None:
            remote_runs = await remote.find_runs(ticket, entry, queue.run_ids())
            # Other runs may have arrived meanwhile.
            decision = self._decide(queue, ticket, entry, remote_runs, is_accepted=is_accepted)
            if decision.kind == "go" and entry.job.overlap != "skip":
                decision = await self._acquire_job_slot(remote, ticket, entry)
        return await self._apply(queue, ticket, entry, decision, remote_runs)

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        queue = self._queues.get(ticket.job)
        if queue is None:
            return
        was_admitted = queue.remove(ticket.id)
        if (remote := self._remote_for(entry)) is not None:
            await remote.release(ticket, was_admitted=was_admitted)
        if not queue:
            self._queues.pop(ticket.job, None)
            return
        if entry.job.overlap == "cancel_previous":
            for position in queue.waiting_in_order():
                self._wakeups.wake(position.run_id)
        elif first := queue.first_waiting():
            self._wakeups.wake(first)

    def _remote_for(self, entry: CatalogJob) -> RemoteRuns | None:
        """Return where the runs of other processes are read; None: they do not matter for this job."""
        return None if entry.job.overlap == "allow" else self._remote

    def _decide(
        self, queue: JobQueue, ticket: Ticket, entry: CatalogJob, remote_runs: RemoteRunsFound, *, is_accepted: bool
    ) -> OverlapDecision:
        mode = entry.job.overlap
        local = queue.other_runs(QueuePosition.of_ticket(ticket), mode)
        others = OtherRuns(
            running=_merged(local.running, remote_runs.running),
            # Queued runs wait where runs do; a newer run does not wait for the runs that it replaces.
            waiting_before=_merged(local.waiting_before, remote_runs.queued)
            if mode.startswith("buffer")
            else local.waiting_before,
            waiting=_merged(local.waiting, remote_runs.queued),
            newer=_merged(local.newer, remote_runs.newer),
        )
        return decide_overlap(mode, others, is_replay=ticket.trigger.is_rerun, is_accepted=is_accepted)

    async def _recheck_admitted(self, queue: JobQueue, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """Check an admitted run that waits at another gate: a newer run may replace it, or its slot may expire."""
        if (replaced := self._replacement_skip(queue, ticket, entry)) is not None:
            return replaced
        if entry.job.overlap != "skip" and (remote := self._remote_for(entry)) is not None:
            decision = await self._acquire_job_slot(remote, ticket, entry)
            if decision.kind == "wait":
                return _wait(self._clock.now() + MAX_RECHECK_BACKOFF, decision)
        return None

    def _replacement_skip(self, queue: JobQueue, ticket: Ticket, entry: CatalogJob) -> Skip | None:
        if entry.job.overlap != "cancel_previous" or ticket.trigger.is_rerun:
            return None
        newer = replace(
            queue.other_runs(QueuePosition.of_ticket(ticket), entry.job.overlap), running=(), waiting_before=()
        )
        decision = decide_overlap(entry.job.overlap, newer, is_replay=False)
        return Skip(_reason(decision), decision.cancelled_by) if decision.kind == "skip" else None

    async def _acquire_job_slot(self, remote: RemoteRuns, ticket: Ticket, entry: CatalogJob) -> OverlapDecision:
        holder = await remote.acquire_job_slot(ticket, entry)
        if holder is None:
            return OverlapDecision("go")
        run = f"run {holder or 'of another process'}"
        return OverlapDecision("wait", f"{run} of its job is running (overlap: {entry.job.overlap})", subject=run)

    async def _apply(
        self,
        queue: JobQueue,
        ticket: Ticket,
        entry: CatalogJob,
        decision: OverlapDecision,
        remote_runs: RemoteRunsFound,
    ) -> GateVerdict:
        if decision.kind == "go":
            queue.remove_waiting(ticket.id)
            queue.admitted[ticket.id] = QueuePosition.of_ticket(ticket)
            return None
        now = self._clock.now()
        if decision.kind == "skip":
            recorded_by = remote_runs.recorded_by
            if entry.job.overlap == "skip" and recorded_by is not None and recorded_by > now:
                return _wait(min(recorded_by, now + UNRECORDED_RECHECK_AFTER), decision)
            return Skip(_reason(decision), decision.cancelled_by)
        since = queue.since.setdefault(ticket.id, now)
        first = queue.first_waiting()
        if not queue.admitted and first != ticket.id:
            # The run of another process that it waits for may be finished.
            self._wakeups.wake(first)
        if (remote := self._remote_for(entry)) is not None:
            await remote.enqueue_waiting(ticket, entry)
        if decision.to_cancel:
            await self._cancel_runs(queue, ticket, decision.to_cancel)
        is_replay = ticket.trigger.is_rerun
        until = now + REPLAY_RECHECK_AFTER if is_replay else next_check_at(since, now, is_first=first == ticket.id)
        return _wait(until, decision)

    async def _cancel_runs(self, queue: JobQueue, ticket: Ticket, run_ids: tuple[str, ...]) -> None:
        """Cancel these runs for the ticket. Waiting runs are checked again, and are replaced then."""
        source = cancelled_by_run(ticket.id)
        local_ids = queue.run_ids()
        for run_id in run_ids:
            if run_id in local_ids and not self._cancel(run_id, source):
                self._wakeups.wake(run_id)
        if self._remote is not None:
            await self._remote.cancel(ticket, [run_id for run_id in run_ids if run_id not in local_ids], source)


def _reason(decision: OverlapDecision) -> Reason:
    return Reason(ReasonCode.OVERLAP, decision.reason)


def _wait(until: datetime, decision: OverlapDecision) -> Wait:
    return Wait(until, _reason(decision), decision.subject)


def _merged(local: tuple[str, ...], remote: tuple[str, ...]) -> tuple[str, ...]:
    """Return the ids oldest first: ids of one job are ordered by their due instants."""
    return tuple(sorted((*local, *remote)))
