"""All gates of a process, asked in order. Used by the worker."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.catalog import Entry
from scheduler.gates.calls import Calls
from scheduler.gates.port import Gate, Skip, Verdict, Wait
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.gates")

STORE_AWAY_FOR = timedelta(seconds=2)
"""After which a gate that could not look into the store is asked again."""


class Gates:
    """Does not suspend for a ticket of which every gate knows at once what to say."""

    def __init__(self, gates: Iterable[Gate], clock: Clock, calls: Calls | None = None) -> None:
        """`calls`: how the gates call tickets that wait."""
        self._gates = tuple(gates)
        self._clock = clock
        self._calls = calls or Calls(clock)
        self._waiting: dict[str, str] = {}

    @property
    def waiting(self) -> Mapping[str, str]:
        """What each ticket waits for that waits in this process, by run id."""
        return self._waiting

    async def ask(self, ticket: Ticket, entry: Entry) -> Verdict:
        """None: run it. Skip: record it as skipped; nothing holds it any more. Wait: ask again at its instant.

        After Wait: `wait`, and ask again. After None and Wait every ticket has to `leave` at last.
        """
        verdict = await self._asked(ticket, entry)
        if isinstance(verdict, Wait):
            if ticket.id not in self._waiting:
                _log.info("run %s waits: %s", ticket.id, verdict.reason)
            self._waiting[ticket.id] = verdict.reason
        else:
            self._waiting.pop(ticket.id, None)
        if isinstance(verdict, Skip):
            await self.leave(ticket, entry)
        return verdict

    async def wait(self, ticket: Ticket, wait: Wait, until: datetime | None = None) -> None:
        """Until this ticket, which was told to wait, is to be asked again: at the instant that the gate said (or
        `until`, if that is earlier), or as soon as something in this process makes way for it."""
        end = wait.until if until is None else min(wait.until, until)
        await self._calls.wait(ticket.id, (end - self._clock.now()).total_seconds())

    async def leave(self, ticket: Ticket, entry: Entry) -> None:
        """The run has ended, or the ticket does not wait here any more. May come twice. Raises nothing."""
        self._waiting.pop(ticket.id, None)
        self._calls.forget(ticket.id)
        for gate in reversed(self._gates):
            if gate.concerns(ticket, entry):
                await gate.leave(ticket, entry)

    async def _asked(self, ticket: Ticket, entry: Entry) -> Verdict:
        """The first gate that has something to say decides."""
        for gate in self._gates:
            if not gate.concerns(ticket, entry):
                continue
            try:
                verdict = await gate.ask(ticket, entry)
            except StoreError as error:
                reason = f"the store does not say whether it may begin: {error}"
                return Wait(self._clock.now() + STORE_AWAY_FOR, reason)
            if verdict is not None:
                return verdict
        return None
