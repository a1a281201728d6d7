"""The runs that a circuit looks back on: the last so many, or those of the last so long. Pure; called by circuit.py.

Both are small whatever happens. A number of runs is kept as bits. A time is kept in ten buckets at most: one begins
with the first run after the end of the one before, spans a tenth of the time, and is left out as a whole once its
beginning lies as long ago as the window reaches. A time below 200 ms is one bucket: the clocks of several processes
do not agree to a tenth of that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

_BUCKETS = 10
_SHORTEST_DIVIDED = 0.2
"""Seconds."""


@dataclass(frozen=True, slots=True)
class WindowBucket:
    """Runs that ended in a tenth of the window's time (or all of a short one) from `started` on."""

    started: datetime
    calls: int
    failures: int = 0
    slow: int = 0


@dataclass(frozen=True, slots=True)
class WindowCounts:
    """Runs in the window, and how many of them failed or were slow (or both)."""

    calls: int
    failures: int
    slow: int


@dataclass(frozen=True, slots=True)
class CircuitWindow:
    """Either the buckets are used or all else. A window's length is not part of it: it is the policy's."""

    calls: int = 0
    failures: int = 0
    """Bits: the newest run is bit 0, a failure is 1."""
    slow: int = 0
    """Bits, as `failures`."""
    buckets: tuple[WindowBucket, ...] = ()
    """The oldest first, each its span or more after the one before."""


EMPTY_WINDOW = CircuitWindow()


def add_run(
    window: CircuitWindow, length: int | float, now: datetime, *, failed: bool = False, slow: bool = False
) -> CircuitWindow:
    """The window with a run that ended now. `length`: an int counts runs, a float seconds."""
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
    """The window with the runs of another one, of which none failed or was slow."""
    if isinstance(length, float):
        return _merged(window, length, now, successes.buckets)
    count = min(successes.calls, length)
    return CircuitWindow(
        min(window.calls + count, length),
        _newest(window.failures << count, length),
        _newest(window.slow << count, length),
    )


def count_window(window: CircuitWindow, length: int | float, now: datetime) -> WindowCounts:
    """How many runs lie in the window now, and how they went."""
    if isinstance(length, float):
        kept = _kept(window.buckets, length, now)
        return WindowCounts(sum(b.calls for b in kept), sum(b.failures for b in kept), sum(b.slow for b in kept))
    return WindowCounts(
        min(window.calls, length),
        _newest(window.failures, length).bit_count(),
        _newest(window.slow, length).bit_count(),
    )


def _newest(bits: int, count: int) -> int:
    return bits & ((1 << count) - 1)


def _merged(window: CircuitWindow, length: float, now: datetime, added: tuple[WindowBucket, ...]) -> CircuitWindow:
    buckets = list(_kept(window.buckets, length, now))
    width = timedelta(seconds=length if length < _SHORTEST_DIVIDED else length / _BUCKETS)
    for bucket in _kept(added, length, now):
        _put_in(buckets, bucket, width)
    return CircuitWindow(buckets=tuple(buckets))


def _put_in(buckets: list[WindowBucket], added: WindowBucket, width: timedelta) -> None:
    """Add to the bucket in whose time it began, or to a later one less than a width away; else as one of its own.

    The latter happens only between processes, whose clocks and counts differ: buckets must not come closer than a
    width to each other, or there would be more and more of them.
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


def _kept(buckets: tuple[WindowBucket, ...], length: float, now: datetime) -> tuple[WindowBucket, ...]:
    reach = timedelta(seconds=length)
    kept = tuple(bucket for bucket in buckets if now - bucket.started < reach)
    # Clocks that go ahead could fill it with what lies in the future.
    return kept[-_BUCKETS:]
