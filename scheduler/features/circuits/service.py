"""Overrides a circuit breaker (open or closed) and resets it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from jobs.formats import format_instant, format_iso_instant
from jobs.ports import CircuitStateStore, Clock
from jobs.problems.findings import suggest_sorted_name
from jobs.running.circuit_state import CircuitState, ManualOverride, dump_state, load_state
from jobs.running.circuit_state_machine import reset_circuit, with_override
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Operation
from scheduler.errors import Conflict, NotFound
from scheduler.features.circuits.models import CircuitModel
from scheduler.features.circuits.queries import CircuitQueries, CircuitView, show_circuit
from scheduler.identity.principal import Caller
from scheduler.operations import check_end, check_reason

_MAX_TRIES = 10
"""Attempts to write the state, which runs change at the same time."""


class CircuitControl(Operation):
    """All methods raise NotFound if no job has the circuit, and StoreError if nothing was changed."""

    def __init__(self, queries: CircuitQueries, states: CircuitStateStore, clock: Clock, audit: AuditTrail) -> None:
        self._queries = queries
        self._states = states
        self._clock = clock
        self._audit = audit

    async def get_circuit(self, key: str) -> CircuitModel:
        """Return the current state of a circuit."""
        return show_circuit(await self._find(key))

    async def _find(self, key: str) -> CircuitView:
        view = await self._queries.find_circuit(key)
        if view is None:
            keys, shared = self._queries.circuit_keys(), f"group:{key}"
            near = shared if shared in keys else suggest_sorted_name(key, keys)
            raise NotFound(f"no job has a circuit {key!r}" + (f" (nearest: {near})" if near else ""))
        return view

    async def _get_own_circuit(self, key: str) -> CircuitView:
        """Return a circuit that the caller may change: a change must not affect jobs that do not exist for it."""
        view = await self._find(key)
        if self._queries.is_shared_with_others(key):
            raise Conflict(f"jobs of other tags share circuit {key}: a caller without tag limits can change it")
        return view

    async def open(self, key: str, *, until: datetime | None = None, reason: str = "", caller: Caller) -> CircuitModel:
        """Reject all runs until an instant or a reset.

        Raises:
            InvalidArgument: `until` is in the past, or the reason is too long.
        """
        return await self._hold(key, open=True, until=until, reason=reason, caller=caller)

    async def close(self, key: str, *, until: datetime | None = None, reason: str = "", caller: Caller) -> CircuitModel:
        """Admit all runs until an instant or a reset. Raises like `open`."""
        return await self._hold(key, open=False, until=until, reason=reason, caller=caller)

    async def reset(self, key: str, *, reason: str = "", caller: Caller) -> CircuitModel:
        """Close the circuit, remove its override and clear its window.

        Raises InvalidArgument: the reason is too long.
        """
        check_reason(reason)
        view = await self._get_own_circuit(key)
        summary = f"circuit {key} was reset" + (f": {reason}" if reason else "")
        change = AuditedChange("circuit.reset", key, summary, view.jobs, _view_fields(view), {"state": "closed"})
        async with audited(self._audit, caller, change):
            await self._change(key, reset_circuit)
        return await self.get_circuit(key)

    async def _hold(self, key: str, *, open: bool, until: datetime | None, reason: str, caller: Caller) -> CircuitModel:
        check_reason(reason)
        view = await self._get_own_circuit(key)
        now = self._clock.now()
        check_end(until, now)
        override = ManualOverride(open, now, until, reason, caller.source.value)
        end = f" until {format_instant(until)}" if until is not None else " until it is reset"
        done = f"circuit {key} is held {'open' if open else 'closed'}{end}"
        change = AuditedChange(
            f"circuit.{'open' if open else 'close'}",
            key,
            done + (f": {reason}" if reason else ""),
            view.jobs,
            _view_fields(view),
            {"state": "held_open" if open else "held_closed", **_override_fields(override)},
        )
        async with audited(self._audit, caller, change):
            await self._change(key, lambda state: with_override(state, override))
        return await self.get_circuit(key)

    async def _change(self, key: str, changed: Callable[[CircuitState], CircuitState]) -> None:
        for _ in range(_MAX_TRIES):
            text, etag = await self._states.load(key)
            if await self._states.replace(key, dump_state(changed(load_state(text))), etag):
                return
        raise Conflict(f"circuit {key} was changed by other processes at the same time: retry")


def _view_fields(view: CircuitView) -> dict[str, Any]:
    return {"state": view.state} | ({} if view.override is None else _override_fields(view.override))


def _override_fields(override: ManualOverride) -> dict[str, Any]:
    until = None if override.until is None else format_iso_instant(override.until)
    return {"until": until, "reason": override.reason}
