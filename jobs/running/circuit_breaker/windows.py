"""The window of a circuit: the last n runs, or the runs of the last n seconds. Pure; called by the state machine.

Both have a bounded size. A number of runs is stored as bits. A duration is stored in at most ten buckets: each starts
with the first run after the end of the previous one, spans a tenth of the duration, and leaves the window as a whole.
A duration below 200 ms is one bucket: the clocks of several processes do not agree to a tenth of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

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
