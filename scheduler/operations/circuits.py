"""Holding a circuit open or closed, whatever the runs of its jobs say, and resetting it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from jobs.ports import CircuitStates, Clock
from jobs.problems.suggestions import suggest_among
from jobs.running.circuit import CircuitState, Forced, forced, reset
from jobs.running.circuit_json import from_json, to_json
from scheduler.circuit_board import CircuitBoard, CircuitView
from scheduler.operations.audit import Way, audit
from scheduler.operations.errors import Conflict, NotThere, Unusable

LONGEST_REASON = 500
"""Characters."""

_TRIES = 10
"""Runs change the circuit at the same time."""


class CircuitSteering:
    """Every method raises NotThere if no job has such a circuit, and StoreError if nothing was changed."""

    def __init__(self, board: CircuitBoard, states: CircuitStates, clock: Clock) -> None:
        self._board = board
        self._states = states
        self._clock = clock

    async def find(self, key: str) -> CircuitView:
        """The circuit as it is now."""
        view = await self._board.find(key)
        if view is None:
            known, shared = self._board.known(), f"group:{key}"
            near = shared if shared in known else suggest_among(key, known)
            raise NotThere(f"no job has a circuit {key!r}" + (f"; the nearest is {near}" if near else ""))
        return view

    async def open(self, key: str, *, until: datetime | None = None, reason: str = "", way: Way) -> CircuitView:
        """Reject all runs, until an instant or until it is reset.

        Raises:
            Unusable: `until` lies in the past, or the reason is too long.
        """
        return await self._hold(key, open=True, until=until, reason=reason, way=way)

    async def close(self, key: str, *, until: datetime | None = None, reason: str = "", way: Way) -> CircuitView:
        """Let all runs through, until an instant or until it is reset. Raises as `open`."""
        return await self._hold(key, open=False, until=until, reason=reason, way=way)

    async def reset(self, key: str, *, reason: str = "", way: Way) -> CircuitView:
        """Closed, held by nobody, and everything that it counted forgotten. Raises Unusable: the reason is too long."""
        _check_reason(reason)
        await self.find(key)
        await self._change(key, reset)
        audit(f"circuit {key} was reset" + (f": {reason}" if reason else ""), way)
        return await self.find(key)

    async def _hold(self, key: str, *, open: bool, until: datetime | None, reason: str, way: Way) -> CircuitView:
        _check_reason(reason)
        await self.find(key)
        now = self._clock.now()
        if until is not None and until <= now:
            raise Unusable("until", f"{until:%Y-%m-%d %H:%M:%S}Z lies in the past: now it is {now:%Y-%m-%d %H:%M:%S}Z")
        wanted = Forced(open, now, until, reason, way.value)
        await self._change(key, lambda state: forced(state, wanted))
        end = f" until {until:%Y-%m-%d %H:%M:%S}Z" if until is not None else " until it is reset"
        done = f"circuit {key} is held {'open' if open else 'closed'}{end}"
        audit(done + (f": {reason}" if reason else ""), way)
        return await self.find(key)

    async def _change(self, key: str, changed: Callable[[CircuitState], CircuitState]) -> None:
        for _ in range(_TRIES):
            text, etag = await self._states.load(key)
            if await self._states.replace(key, to_json(changed(from_json(text))), etag):
                return
        raise Conflict(f"circuit {key} changes all the time just now: ask again")


def _check_reason(reason: str) -> None:
    if len(reason) > LONGEST_REASON:
        raise Unusable("reason", f"{len(reason)} characters are too many: at most {LONGEST_REASON}")
