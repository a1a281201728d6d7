"""A circuit's state as one line of JSON, as the store keeps it. Called by circuits.py."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from jobs.running.circuit import CLOSED, CircuitState, Condition

_VERSION = 1


def to_json(state: CircuitState) -> str:
    """The state as one line of JSON, for the store."""
    return json.dumps(
        {
            "v": _VERSION,
            "condition": state.condition.value,
            "period": state.period,
            "since": state.since and state.since.isoformat(),
            "opened_at": state.opened_at and state.opened_at.isoformat(),
            "why": state.why,
            "consecutive": state.consecutive,
            "calls": state.calls,
            "failures": f"{state.failures:x}",
            "succeeded": state.succeeded,
            "leases": [lease.isoformat() for lease in state.leases],
        },
        separators=(",", ":"),
    )


def from_json(text: str | None) -> CircuitState:
    """The state from the store. Closed when there is none or it is not understood, such as one of a later version:
    the worst that follows is that the target is asked once more."""
    if text is None:
        return CLOSED
    try:
        return _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return CLOSED


def _read(stored: dict[str, Any]) -> CircuitState:
    if stored.pop("v") != _VERSION:
        raise ValueError("another version")
    state = CircuitState(
        condition=Condition(stored.pop("condition")),
        period=_whole(stored.pop("period")),
        since=_instant(stored.pop("since")),
        opened_at=_instant(stored.pop("opened_at")),
        why=str(stored.pop("why")),
        consecutive=_whole(stored.pop("consecutive")),
        calls=_whole(stored.pop("calls")),
        failures=_whole(int(stored.pop("failures"), 16)),
        succeeded=_whole(stored.pop("succeeded")),
        leases=tuple(datetime.fromisoformat(lease) for lease in stored.pop("leases")),
    )
    times = [time for time in (state.since, state.opened_at, *state.leases) if time is not None]
    if stored or any(time.tzinfo is None for time in times):
        raise ValueError("not written by this version")
    if state.condition is not Condition.CLOSED and state.opened_at is None:
        raise ValueError("open since never")
    return state


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a count")
    return value


def _instant(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value)
