"""A circuit's state as one line of JSON in the store. Called by the circuit breakers and by scheduler.queries.circuits.

Version 2 added slow runs, time windows, joint decisions of probes and overrides; version 1 is still read.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from jobs.running.circuit_breaker.state import CLOSED_CIRCUIT, CircuitCondition, CircuitState, ManualOverride
from jobs.running.circuit_breaker.windows import CircuitWindow, WindowBucket

_VERSION = 2


def dump_state(state: CircuitState) -> str:
    """Serialise the state for the store."""
    window, forced = state.window, state.override
    return json.dumps(
        {
            "v": _VERSION,
            "condition": state.condition.value,
            "period": state.period,
            "since": state.since and state.since.isoformat(),
            "opened_at": state.opened_at and state.opened_at.isoformat(),
            "why": state.opened_reason,
            "consecutive": state.consecutive_failures,
            "calls": window.calls,
            "failures": f"{window.failures:x}",
            "slow": f"{window.slow:x}",
            "buckets": [[b.started.isoformat(), b.calls, b.failures, b.slow] for b in window.buckets],
            "probes": [state.succeeded, state.failed, state.slow],
            "leases": [lease.isoformat() for lease in state.leases],
            "forced": None
            if forced is None
            else {
                "open": forced.is_open,
                "since": forced.since.isoformat(),
                "until": forced.until and forced.until.isoformat(),
                "reason": forced.reason,
                "way": forced.source,
            },
        },
        separators=(",", ":"),
    )


def load_state(text: str | None) -> CircuitState:
    """The state from the store. Closed when there is none or it is not understood, such as one of a later version:
    the worst that follows is that the target is asked once more."""
    if text is None:
        return CLOSED_CIRCUIT
    try:
        return _read(json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return CLOSED_CIRCUIT


def _read(stored: dict[str, Any]) -> CircuitState:
    version = stored.pop("v")
    if version == 1:
        stored |= {"slow": "0", "buckets": [], "probes": [stored.pop("succeeded"), 0, 0], "forced": None}
    elif version != _VERSION:
        raise ValueError("another version")
    succeeded, failed, slow = stored.pop("probes")
    forced = stored.pop("forced")
    state = CircuitState(
        condition=CircuitCondition(stored.pop("condition")),
        period=_whole(stored.pop("period")),
        since=_instant(stored.pop("since")),
        opened_at=_instant(stored.pop("opened_at")),
        opened_reason=str(stored.pop("why")),
        consecutive_failures=_whole(stored.pop("consecutive")),
        window=_window(stored),
        succeeded=_whole(succeeded),
        failed=_whole(failed),
        slow=_whole(slow),
        leases=tuple(map(_known_instant, stored.pop("leases"))),
        override=None if forced is None else _forced(forced),
    )
    if stored:
        raise ValueError("not written by this version")
    if state.condition is not CircuitCondition.CLOSED and state.opened_at is None:
        raise ValueError("open since never")
    return state


def _window(stored: dict[str, Any]) -> CircuitWindow:
    return CircuitWindow(
        calls=_whole(stored.pop("calls")),
        failures=_whole(int(stored.pop("failures"), 16)),
        slow=_whole(int(stored.pop("slow"), 16)),
        buckets=tuple(_bucket(*written) for written in stored.pop("buckets")),
    )


def _bucket(started: str, calls: int, failures: int, slow: int) -> WindowBucket:
    return WindowBucket(_known_instant(started), _whole(calls), _whole(failures), _whole(slow))


def _forced(stored: dict[str, Any]) -> ManualOverride:
    if type(stored["open"]) is not bool:
        raise ValueError("neither open nor closed")
    return ManualOverride(
        stored["open"],
        _known_instant(stored["since"]),
        _instant(stored["until"]),
        str(stored["reason"]),
        str(stored["way"]),
    )


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError("not a count")
    return value


def _known_instant(value: str) -> datetime:
    instant = datetime.fromisoformat(value)
    if instant.tzinfo is None:
        raise ValueError("an instant without an offset")
    return instant


def _instant(value: str | None) -> datetime | None:
    return None if value is None else _known_instant(value)
