"""The state of a circuit with its window of runs, the admission of a run, and its form as one line of JSON. Pure.

All instants are aware UTC. Version 2 of the stored form added slow runs, time windows, joint decisions of probes and
overrides; version 1 is still read.

A window has the last n runs, or the runs of the last n seconds; both have a bounded size. A number of runs is stored as
bits. A duration is stored in at most ten buckets: each starts with the first run after the end of the previous one,
spans a tenth of the duration, and leaves the window as a whole. A duration below 200 ms is one bucket: the clocks of
several processes do not agree to a tenth of that.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, Strict
from pydantic.types import NonNegativeInt

from jobs.formats import format_instant

_BUCKETS = 10
_SHORTEST_DIVIDED = 0.2
"""Seconds."""


@dataclass(frozen=True, slots=True)
class WindowBucket:
    """Runs that ended within a tenth of the window's duration (or all of a short one) after `started`."""

    started: datetime
    calls: int
    failures: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Number of runs in the window, and how many of them failed or were slow (or both)."""

    calls: int
    failures: int
    slow: int


@dataclass(frozen=True, slots=True)
class CircuitWindow:
    """Uses either the buckets or the other fields. Its length is part of the policy, not of the window."""

    calls: int = 0
    failures: int = 0
    """Bits: the newest run is bit 0, a failure is 1."""
    slow: int = 0
    """Bits, as `failures`."""
    buckets: tuple[WindowBucket, ...] = ()
    """Oldest first, at least a bucket's span apart."""


EMPTY_WINDOW = CircuitWindow()


def add_run(
    window: CircuitWindow, length: int | float, now: datetime, *, failed: bool = False, slow: bool = False
) -> CircuitWindow:
    """Return the window with a run that ended now. `length`: an int counts runs, a float counts seconds."""
    if isinstance(length, float):
        return _merged(window, length, now, (WindowBucket(now, 1, int(failed), int(slow)),))
    return CircuitWindow(
        min(window.calls + 1, length),
        _newest(window.failures << 1 | failed, length),
        _newest(window.slow << 1 | slow, length),
    )


def merge_successes(
    window: CircuitWindow, length: int | float, now: datetime, successes: CircuitWindow
) -> CircuitWindow:
    """Return the window with the runs of another one, all successful and not slow."""
    if isinstance(length, float):
        return _merged(window, length, now, successes.buckets)
    count = min(successes.calls, length)
    return CircuitWindow(
        min(window.calls + count, length),
        _newest(window.failures << count, length),
        _newest(window.slow << count, length),
    )


def count_window(window: CircuitWindow, length: int | float, now: datetime) -> WindowCounts:
    """Count the runs in the window at this instant."""
    if isinstance(length, float):
        current = _current_buckets(window.buckets, length, now)
        return WindowCounts(
            sum(b.calls for b in current), sum(b.failures for b in current), sum(b.slow for b in current)
        )
    return WindowCounts(
        min(window.calls, length),
        _newest(window.failures, length).bit_count(),
        _newest(window.slow, length).bit_count(),
    )


def _newest(bits: int, count: int) -> int:
    return bits & ((1 << count) - 1)


def _merged(window: CircuitWindow, length: float, now: datetime, added: tuple[WindowBucket, ...]) -> CircuitWindow:
    buckets = list(_current_buckets(window.buckets, length, now))
    width = timedelta(seconds=length if length < _SHORTEST_DIVIDED else length / _BUCKETS)
    for bucket in _current_buckets(added, length, now):
        _put_in(buckets, bucket, width)
    return CircuitWindow(buckets=tuple(buckets))


def _put_in(buckets: list[WindowBucket], added: WindowBucket, width: timedelta) -> None:
    """Add to the bucket that covers its start, or to a later one less than a width away; otherwise insert it.

    The latter happens only between processes, whose clocks and counts differ. Buckets must stay a width apart, or their
    number would grow.
    """
    for at, bucket in enumerate(buckets):
        if abs(added.started - bucket.started) < width:
            buckets[at] = replace(
                bucket,
                calls=bucket.calls + added.calls,
                failures=bucket.failures + added.failures,
                slow=bucket.slow + added.slow,
            )
            return
    buckets.append(added)
    buckets.sort(key=lambda bucket: bucket.started)


def _current_buckets(buckets: tuple[WindowBucket, ...], length: float, now: datetime) -> tuple[WindowBucket, ...]:
    reach = timedelta(seconds=length)
    current = tuple(bucket for bucket in buckets if now - bucket.started < reach)
    # Clocks that run ahead could fill the window with instants in the future.
    return current[-_BUCKETS:]


class CircuitCondition(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class ManualOverride:
    """An operator's override that holds the circuit open or closed. All instants are aware UTC."""

    is_open: bool
    since: datetime
    until: datetime | None = None
    """Its end, exclusive; None: until it is reset."""
    reason: str = ""
    source: str = ""
    """Where it was set, such as `over the API`."""

    def is_active(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def __str__(self) -> str:
        """Format as `held open until 2026-03-01 13:00:00Z (set over the API at 2026-03-01 12:00:00Z: deployment)`."""
        end = f"until {format_instant(self.until)}" if self.until is not None else "until it is reset"
        origin = f"set {self.source} at {format_instant(self.since)}" + (f": {self.reason}" if self.reason else "")
        return f"held {'open' if self.is_open else 'closed'} {end} ({origin})"


@dataclass(frozen=True, slots=True)
class CircuitState:
    """The complete state of a circuit. All instants are aware UTC."""

    condition: CircuitCondition = CircuitCondition.CLOSED
    period: int = 0
    """Number of changes of condition."""
    since: datetime | None = None
    """When the circuit first opened in this outage; None while closed."""
    opened_at: datetime | None = None
    """When it last opened: `open_for` counts from here."""
    opened_reason: str = ""
    """Why it opened, such as `5 failures in a row`."""
    consecutive_failures: int = 0
    """Consecutive failures, while closed."""
    window: CircuitWindow = EMPTY_WINDOW
    """The runs of the window, while closed; only for a policy with rates."""
    succeeded: int = 0
    """Successful probes, while half-open."""
    failed: int = 0
    """Failed probes, while half-open."""
    slow: int = 0
    """Slow probes, successful or failed, while half-open."""
    leases: tuple[datetime, ...] = ()
    """When the lease of each probe in flight expires, while half-open."""
    override: ManualOverride | None = None
    """The last override; it may have ended."""

    def active_override(self, now: datetime) -> ManualOverride | None:
        """Return the override in force."""
        return self.override if self.override is not None and self.override.is_active(now) else None


CLOSED_CIRCUIT = CircuitState()

UNCOUNTED_PERIOD = -1
"""The period of runs whose results are not counted."""


@dataclass(frozen=True, slots=True)
class CircuitPermit:
    """The admission of a run, presented with its result: the period and, for a probe, its lease."""

    period: int
    lease: datetime | None = None
    """When a probe's lease expires. Probes with the same expiry are interchangeable."""


@dataclass(frozen=True, slots=True)
class CircuitAdmission:
    """The decision about a run. `state` is the state after it, to be stored if it has changed."""

    state: CircuitState
    permit: CircuitPermit | None
    reason: str = ""
    """Why the run is rejected, since when, and when the next probe is admitted."""

    @property
    def is_allowed(self) -> bool:
        return self.permit is not None


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
