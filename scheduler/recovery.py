"""What other processes left behind: runs that nobody is at any more, and runs that nobody was told of.

Swept up by the embedded host, at its start and then now and then. (In the Functions host the queue delivers again.)
"""

from __future__ import annotations

import logging
import os
import socket
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.running.verdicts import interrupted_run
from jobs.runs import Run, Ticket, Trigger
from scheduler.catalog import Catalog, Entry
from scheduler.stores.port import StoreError
from scheduler.stores.runs import Claim, Record, Runs, RunState
from scheduler.ticker import STILL_ON_TIME
from scheduler.work.telling import NotFollowedUp
from scheduler.work.worker import Worker

_log = logging.getLogger("scheduler.recovery")

EVERY = 30.0
"""Seconds between two sweeps."""
QUEUED_FOR = timedelta(seconds=60)
"""A queued run that waits for so long, and is no living process's, has nobody who means to perform it."""
UNTOLD_FOR = timedelta(seconds=10)
"""A finished run that nobody was told of for so long is told of by nobody else."""


def has_died(owner: str) -> bool | None:
    """Whether the process with this mark (host:pid:token) is gone; None if that cannot be seen from here."""
    host, _, rest = owner.partition(":")
    pid, _, _ = rest.partition(":")
    if host != socket.gethostname() or not pid.isdigit() or sys.platform == "win32":
        return None
    if int(pid) == os.getpid():
        return True  # an earlier process of this number; our own claims are asked about nowhere
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    return False


class Recovery:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        worker: Worker,
        submit: Callable[[Ticket], object],
        clock: Clock,
        *,
        has_died: Callable[[str], bool | None] = has_died,
    ) -> None:
        self._catalog = catalog
        self._runs = runs
        self._worker = worker
        self._submit = submit
        self._clock = clock
        self._has_died = has_died

    async def run(self) -> None:
        """Sweep again and again until cancelled."""
        while True:
            await self._clock.sleep(EVERY)
            try:
                await self.sweep(queued_for=QUEUED_FOR, untold_for=UNTOLD_FOR)
            except StoreError as error:
                _log.warning("what other processes left behind is not looked at now: %s", error)

    async def sweep(self, *, queued_for: timedelta = timedelta(), untold_for: timedelta = timedelta()) -> None:
        """Take over what nobody is at. By default also what was queued, or not told of, only a moment ago: at the
        start, when nobody but a command can be at anything. Raises StoreError."""
        now = self._clock.now()
        for run in await self._runs.untold():
            if run.finished_at <= now - untold_for:
                await self._tell(run)
        again: defaultdict[str, list[Claim]] = defaultdict(list)
        for record in reversed(await self._runs.unfinished()):
            if self._worker.holds(record.ticket.id):
                continue
            if record.state is RunState.RUNNING:
                if (claim := await self._taken_over(record, now)) is not None:
                    again[record.ticket.job].append(claim)
            elif self._is_attended(record.owner):
                continue
            elif record.ticket.due_at <= now - queued_for or not queued_for:
                await self._begin(record.ticket, now)
        for claims in again.values():
            self._worker.submit_claimed(*claims)

    async def _tell(self, run: Run) -> None:
        try:
            await self._worker.telling.tell(run)
        except NotFollowedUp as error:
            _log.warning("%s", error)

    async def _begin(self, ticket: Ticket, now: datetime) -> None:
        """One that is queued: asked for, or given back by a process that was told to stop."""
        entry = self._catalog.find(ticket.job)
        if entry is None or _is_wanted(entry, ticket, now):
            self._submit(ticket)
            return
        policy = entry.job.catch_up.policy
        await self._worker.skip(ticket, f"it fell due while no scheduler was running (catch_up: {policy})")

    async def _taken_over(self, record: Record, now: datetime) -> Claim | None:
        """The right to run it again; None if somebody is at it, or if it is only recorded that it was interrupted."""
        entry, ticket = self._catalog.find(record.ticket.job), record.ticket
        ended = record.lease_until is None or record.lease_until <= now
        if not ended and not self._is_free(record.owner, entry):
            return None
        lease_until = self._worker.lease_until(ticket)
        claim = await self._runs.claim(ticket, self._worker.owner, lease_until, max(now, record.lease_until or now))
        if not isinstance(claim, Claim):
            return None
        _log.warning("run %s was in work when its process (%s) ended", ticket.id, record.owner)
        # The worker knows what becomes of one that must not run twice.
        if entry is not None and (entry.job.effect == "once" or _is_wanted(entry, ticket, now)):
            return claim
        await self._worker.end(claim, interrupted_run(ticket, ticket.due_at, now, entry.job if entry else None))
        return None

    def _is_attended(self, owner: str) -> bool:
        """Whether the process that queued a run lives and means to perform it: a command with many runs, which it
        performs one after the other, may get to this one much later."""
        return bool(owner) and self._has_died(owner) is False

    def _is_free(self, owner: str, entry: Entry | None) -> bool:
        """Of another host's process nothing can be seen: mostly it is this one's container before it was started
        anew. What would do harm twice waits for its lease to end."""
        if owner == self._worker.owner:
            return False  # it is just being finished
        died = self._has_died(owner)
        return died if died is not None else entry is None or entry.job.effect == "repeatable"


def _is_wanted(entry: Entry, ticket: Ticket, now: datetime) -> bool:
    """Whether the run is still to happen. What was asked for is; a due instant that has passed goes by the job's
    catch-up policy."""
    job = entry.job
    late = now - ticket.due_at
    if ticket.trigger is not Trigger.SCHEDULE or late <= STILL_ON_TIME or job.schedule is None:
        return True
    if job.catch_up.policy == "none" or late.total_seconds() > job.catch_up.within:
        return False
    following = job.schedule.next_after(ticket.due_at)
    return job.catch_up.policy == "all" or following is None or following > now
