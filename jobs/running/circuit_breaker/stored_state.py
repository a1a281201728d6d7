"""A circuit's state as one line of JSON in the store. Called by .breakers and scheduler.queries.circuits.

Version 2 added slow runs, time windows, joint decisions of probes and overrides; version 1 is still read.
"""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, Strict
from pydantic.types import NonNegativeInt

from jobs.running.circuit_breaker.state import CLOSED_CIRCUIT, CircuitCondition, CircuitState, ManualOverride
from jobs.running.circuit_breaker.windows import CircuitWindow, WindowBucket


def _parse_bits(value: object) -> int:
    if not isinstance(value, str):
        raise ValueError("not a hexadecimal number")
    return int(value, 16)


_Count = Annotated[NonNegativeInt, Strict()]
_Bits = Annotated[NonNegativeInt, BeforeValidator(_parse_bits), PlainSerializer(lambda bits: f"{bits:x}")]


class _StoredOverride(BaseModel):
    model_config = ConfigDict(extra="ignore")

    open: Annotated[bool, Strict()]
    since: AwareDatetime
    until: AwareDatetime | None
    reason: str
    way: str


class _StoredState(BaseModel):
    """The row of version 2. Its names are stored: they stay when those of CircuitState change."""

    model_config = ConfigDict(extra="forbid")

    v: Literal[2]
    condition: CircuitCondition
    period: _Count
    since: AwareDatetime | None
    opened_at: AwareDatetime | None
    why: str
    consecutive: _Count
    calls: _Count
    failures: _Bits
    slow: _Bits
    buckets: tuple[tuple[AwareDatetime, _Count, _Count, _Count], ...]
    probes: tuple[_Count, _Count, _Count]
    leases: tuple[AwareDatetime, ...]
    forced: _StoredOverride | None


def dump_state(state: CircuitState) -> str:
    """Serialise the state for the store."""
    window, override = state.window, state.override
    return _StoredState.model_construct(
        v=2,
        condition=state.condition,
        period=state.period,
        since=state.since,
        opened_at=state.opened_at,
        why=state.opened_reason,
        consecutive=state.consecutive_failures,
        calls=window.calls,
        failures=window.failures,
        slow=window.slow,
        buckets=tuple((each.started, each.calls, each.failures, each.slow) for each in window.buckets),
        probes=(state.succeeded, state.failed, state.slow),
        leases=state.leases,
        forced=None
        if override is None
        else _StoredOverride.model_construct(
            open=override.is_open,
            since=override.since,
            until=override.until,
            reason=override.reason,
            way=override.source,
        ),
    ).model_dump_json()


def load_state(text: str | None) -> CircuitState:
    """Parse a stored state. Closed without one, and for an unknown format, such as that of a later version: the worst
    consequence is one more request to the target."""
    if text is None:
        return CLOSED_CIRCUIT
    try:
        state = _to_state(_StoredState.model_validate(_upgrade(json.loads(text))))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return CLOSED_CIRCUIT
    return CLOSED_CIRCUIT if state.condition is not CircuitCondition.CLOSED and state.opened_at is None else state


def _upgrade(stored: dict[str, Any]) -> dict[str, Any]:
    """Convert a row of version 1."""
    if stored["v"] != 1:
        return stored
    return stored | {"v": 2, "slow": "0", "buckets": [], "probes": [stored.pop("succeeded"), 0, 0], "forced": None}


def _to_state(row: _StoredState) -> CircuitState:
    succeeded, failed, slow = row.probes
    override = row.forced
    return CircuitState(
        condition=row.condition,
        period=row.period,
        since=row.since,
        opened_at=row.opened_at,
        opened_reason=row.why,
        consecutive_failures=row.consecutive,
        window=CircuitWindow(row.calls, row.failures, row.slow, tuple(WindowBucket(*each) for each in row.buckets)),
        succeeded=succeeded,
        failed=failed,
        slow=slow,
        leases=row.leases,
        override=None
        if override is None
        else ManualOverride(override.open, override.since, override.until, override.reason, override.way),
    )
