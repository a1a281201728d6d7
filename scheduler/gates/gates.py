"""All gates of a process, asked in order. Used by the worker."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.reasons import Reason, ReasonCode
from jobs.runs import Ticket
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates.port import Gate, GateVerdict, Skip, Wait
from scheduler.gates.wakeups import Wakeups
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.gates")

STORE_RETRY_AFTER = timedelta(seconds=2)
"""After which a gate that could not look into the store is asked again."""


class Gates:
    """Does not suspend for a ticket of which every gate knows at once what to say."""

    def __init__(self, gates: Iterable[Gate], clock: Clock, wakeups: Wakeups | None = None) -> None:
        """`calls`: how the gates call tickets that wait."""
        self._gates = tuple(gates)
        self._clock = clock
        self._wakeups = wakeups or Wakeups(clock)
        self._waiting: dict[str, str] = {}

    @property
    def waiting(self) -> Mapping[str, str]:
        """What each ticket waits for that waits in this process, by run id."""
        return self._waiting

    async def check(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """None: run it. Skip: record it as skipped; nothing holds it any more. Wait: ask again at its instant.

        After Wait: `wait`, and ask again. After None and Wait every ticket has to `leave` at last.
        """
        verdict = await self._first_verdict(ticket, entry)
        if isinstance(verdict, Wait):
            if ticket.id not in self._waiting:
                _log.info("run %s waits: %s", ticket.id, verdict.reason)
            self._waiting[ticket.id] = verdict.reason.message
        else:
            self._waiting.pop(ticket.id, None)
        if isinstance(verdict, Skip):
            await self.release(ticket, entry)
        return verdict

    async def wait(self, ticket: Ticket, wait: Wait, until: datetime | None = None) -> None:
        """Until this ticket, which was told to wait, is to be asked again: at the instant that the gate said (or
        `until`, if that is earlier), or as soon as something in this process makes way for it."""
        end = wait.claimable_at if until is None else min(wait.claimable_at, until)
        await self._wakeups.wait(ticket.id, (end - self._clock.now()).total_seconds())

    async def release(self, ticket: Ticket, entry: CatalogJob) -> None:
        """The run has ended, or the ticket does not wait here any more. May come twice. Raises nothing."""
        self._waiting.pop(ticket.id, None)
        self._wakeups.clear(ticket.id)
        for gate in reversed(self._gates):
            if gate.applies_to(ticket, entry):
                await gate.release(ticket, entry)

    async def _first_verdict(self, ticket: Ticket, entry: CatalogJob) -> GateVerdict:
        """The first gate that has something to say decides."""
        for gate in self._gates:
            if not gate.applies_to(ticket, entry):
                continue
            try:
                verdict = await gate.check(ticket, entry)
            except StoreError as error:
                why = f"the store does not say whether it may begin: {error}"
                reason = Reason(ReasonCode.STORE_UNAVAILABLE, why)
                return Wait(self._clock.now() + STORE_RETRY_AFTER, reason)
            if verdict is not None:
                return verdict
        return None
