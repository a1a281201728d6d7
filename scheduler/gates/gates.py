"""All gates of a process, checked in order. Called by scheduler.worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.port import Gate, GateVerdict, Skip, Wait
from scheduler.gates.wakeups import Wakeups
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.gates")

STORE_RETRY_AFTER = timedelta(seconds=2)
"""After which a gate that could not read the store is checked again."""


@dataclass(frozen=True, slots=True)
class _CurrentWait:
    """`since`: monotonic seconds."""

    reason: Reason
    since: float


class Gates:
    """Does not suspend for a ticket that every gate can judge at once."""

    def __init__(self, gates: Iterable[Gate], clock: Clock, wakeups: Wakeups | None = None) -> None:
        """`wakeups`: how the gates wake waiting tickets."""
        self._gates = tuple(gates)
        self._clock = clock
        self._wakeups = wakeups or Wakeups(clock)
        self._waiting: dict[str, _CurrentWait] = {}
        self.on_waited: Callable[[ReasonCode, float], None] = lambda code, seconds: None
        """Called with the code of the reason and the seconds when a ticket does not wait for it any more."""

    @property
    def waiting(self) -> Mapping[str, str]:
        """The reasons of the tickets that wait in this process, by run id."""
        return {run: each.reason.message for run, each in self._waiting.items()}

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """Return None to run the ticket, Skip to record it as skipped, or Wait to check it again at an instant.

        After Wait, call `wait` and check again. After None or Wait, call `release` at the end.
        """
        verdict = await self._first_verdict(ticket, entry)
        if isinstance(verdict, Wait):
            self._follow_wait(ticket, verdict.reason)
        else:
            self._end_wait(ticket)
        if isinstance(verdict, Skip):
            await self.release(ticket, entry)
        return verdict

    async def wait(self, ticket: Ticket, wait: Wait, until: datetime | None = None) -> None:
        """Wait until the next check of this ticket: at the instant of the gate or `until`, whichever is earlier.

        A gate of this process ends the wait as soon as the ticket may proceed.
        """
        end = wait.retry_at if until is None else min(wait.retry_at, until)
        await self._wakeups.wait(ticket.id, (end - self._clock.now()).total_seconds())

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """Release what the gates hold for a ticket that neither waits nor runs here any more. Raises nothing."""
        self._end_wait(ticket)
        self._wakeups.clear(ticket.id)
        for gate in reversed(self._gates):
            if gate.applies_to(ticket, entry):
                await gate.release(ticket, entry)

    def _follow_wait(self, ticket: Ticket, reason: Reason) -> None:
        known = self._waiting.get(ticket.id)
        if known is None:
            _log.info("run %s waits: %s", ticket.id, reason)
        elif known.reason.code is not reason.code:
            self._end_wait(ticket)
            known = None
        since = self._clock.monotonic() if known is None else known.since
        self._waiting[ticket.id] = _CurrentWait(reason, since)

    def _end_wait(self, ticket: Ticket) -> None:
        ended = self._waiting.pop(ticket.id, None)
        if ended is not None:
            self.on_waited(ended.reason.code, self._clock.monotonic() - ended.since)

    async def _first_verdict(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """Return the verdict of the first gate that does not let the ticket run."""
        for gate in self._gates:
            if not gate.applies_to(ticket, entry):
                continue
            try:
                verdict = await gate.check(ticket, entry)
            except StoreError as error:
                why = f"the store is unavailable, so the gate cannot be checked: {error}"
                reason = Reason(ReasonCode.STORE_UNAVAILABLE, why)
                return Wait(self._clock.now() + STORE_RETRY_AFTER, reason)
            if verdict is not None:
                return verdict
        return None
