"""All gates of a process, asked in order. Used by the worker."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta

from jobs.ports import Clock
from jobs.runs import Ticket
from scheduler.catalog import Entry
from scheduler.gates.port import Gate, Skip, Verdict, Wait
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.gates")

STORE_AWAY_FOR = timedelta(seconds=2)
"""After which a gate that could not look into the store is asked again."""


class Gates:
    """Does not suspend for a ticket of which every gate knows at once what to say."""

    def __init__(self, gates: Iterable[Gate], clock: Clock) -> None:
        self._gates = tuple(gates)
        self._clock = clock

    async def ask(self, ticket: Ticket, entry: Entry) -> Verdict:
        """None: run it. Skip: record it as skipped; nothing holds it any more. Wait: ask again at its instant.

        After None and Wait every ticket has to `leave` at last.
        """
        for gate in self._gates:
            if not gate.concerns(ticket, entry):
                continue
            try:
                verdict = await gate.ask(ticket, entry)
            except StoreError as error:
                _log.warning("run %s waits, as the store does not say whether it may begin: %s", ticket.id, error)
                return Wait(self._clock.now() + STORE_AWAY_FOR, f"the store does not say whether it may begin: {error}")
            if isinstance(verdict, Skip):
                await self.leave(ticket, entry)
            if verdict is not None:
                return verdict
        return None

    async def leave(self, ticket: Ticket, entry: Entry) -> None:
        """The run has ended, or the ticket does not wait here any more. May come twice. Raises nothing."""
        for gate in reversed(self._gates):
            if gate.concerns(ticket, entry):
                await gate.leave(ticket, entry)
