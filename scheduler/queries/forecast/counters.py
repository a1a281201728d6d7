"""Counts the due instants of a schedule: by arithmetic for an interval, otherwise from a list. Pure.

Called by scheduler.queries.forecast.counting. Schedules that differ only by an offset or a jitter share one list. The
generators yield often, so that scheduler.turns.finish can let other tasks run.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Generator
from dataclasses import dataclass
from math import ceil
from typing import Final, Protocol

from jobs.schedules import BoundedSchedule, IntervalSchedule, Schedule, split_shift

MAX_LISTED: Final = 200_000
"""Due instants of a schedule that are listed, a second of work; further ones are estimated. Seven days have 120,960
instants of a job of every 5 s."""
MAX_LISTED_OF_ALL: Final = 2_000_000
"""Due instants of all schedules; 16 MB. Of a schedule beyond that, only MIN_LISTED are listed."""
MIN_LISTED: Final = 1_000
MAX_SHARED_SHIFT_MS: Final = 3_600_000
"""A jitter up to this shares the list of its schedule, which begins so much earlier."""
_YIELD_EVERY: Final = 200
"""Instants; some 0.2 ms."""
_PIECES: Final = 1008
"""Parts of a range of which each is estimated; of seven days, ten minutes."""

Steps = Generator[None, None, "InstantCounter"]


class InstantCounter(Protocol):
    """`is_estimated`: whether some instants are not counted but estimated."""

    @property
    def is_estimated(self) -> bool: ...

    def count_before(self, at: int) -> int:
        """Return a number of which only differences have a meaning: the instants between two milliseconds."""
        ...


@dataclass(frozen=True, slots=True)
class IntervalCounter:
    every_ms: int
    offset_ms: int
    is_estimated: bool = False

    def count_before(self, at: int) -> int:
        return -((self.offset_ms - at) // self.every_ms)


@dataclass(frozen=True, slots=True, eq=False)
class ListCounter:
    """`shift_ms`: how much later than `instants` the job is due."""

    instants: array[int]
    shift_ms: int = 0
    is_estimated: bool = False

    def count_before(self, at: int) -> int:
        return bisect_left(self.instants, at - self.shift_ms)


@dataclass(frozen=True, slots=True, eq=False)
class EstimatedCounter:
    """`edges`: of the pieces after the listed instants; `sums`: the estimated instants before each of them."""

    listed: ListCounter
    edges: list[int]
    sums: list[int]
    is_estimated: bool = True

    def count_before(self, at: int) -> int:
        at -= self.listed.shift_ms
        if at <= self.edges[0]:
            return bisect_left(self.listed.instants, at)
        place = min(bisect_left(self.edges, at), len(self.edges) - 1)
        begin, end = self.edges[place - 1], self.edges[place]
        part = min(1.0, (at - begin) / (end - begin))
        return (
            len(self.listed.instants) + self.sums[place - 1] + round(part * (self.sums[place] - self.sums[place - 1]))
        )


@dataclass(frozen=True, slots=True)
class ClippedCounter:
    """The instants of another counter from `since` on, before `until`."""

    inner: InstantCounter
    since: int
    until: int

    @property
    def is_estimated(self) -> bool:
        return self.inner.is_estimated

    def count_before(self, at: int) -> int:
        return self.inner.count_before(max(self.since, min(at, self.until)))


class CounterFactory:
    """The counters of a range in milliseconds, `until` exclusive. `max_listed`: see MAX_LISTED."""

    def __init__(self, since: int, until: int, max_listed: int = MAX_LISTED) -> None:
        self.since, self.until = since, until
        self._max_listed = max_listed
        self._left = MAX_LISTED_OF_ALL
        self._counters: dict[tuple[Schedule, int], InstantCounter] = {}
        self._lists: dict[Schedule, InstantCounter] = {}

    def create(self, schedule: Schedule) -> Steps:
        """Return the counter of a schedule: the same object for an equal one."""
        base, shift = split_shift(schedule)
        if shift > MAX_SHARED_SHIFT_MS and not isinstance(base, IntervalSchedule):
            base, shift = schedule, 0
        found = self._counters.get((base, shift))
        if found is None:
            found = self._counters[base, shift] = yield from self._count(base, shift)
        return found

    def _count(self, base: Schedule, shift: int) -> Steps:
        if isinstance(base, IntervalSchedule):
            return IntervalCounter(base.every_ms, base.offset_ms + shift)
        if isinstance(base, BoundedSchedule) and not base.exclusions:
            since = self.since if base.start is None else max(self.since, base.start.milliseconds)
            until = self.until if base.end is None else min(self.until, base.end.milliseconds + 1)
            inner = yield from self.create(base.schedule)
            return ClippedCounter(inner, since, max(since, until))
        found = self._lists.get(base)
        if found is None:
            found = self._lists[base] = yield from self._list(base)
        return found if not shift else _shift(found, shift)

    def _list(self, schedule: Schedule) -> Steps:
        found, most = array("q"), min(self._max_listed, max(MIN_LISTED, self._left))
        at = self.since - MAX_SHARED_SHIFT_MS - 1
        while (due := schedule.next_after_ms(at)) is not None and due < self.until:
            if len(found) == most:
                return (yield from self._estimate(schedule, ListCounter(found), due))
            found.append(due)
            at = due
            if not len(found) % _YIELD_EVERY:
                yield
        self._left -= len(found)
        return ListCounter(found)

    def _estimate(self, schedule: Schedule, listed: ListCounter, since: int) -> Steps:
        """Count the instants of a part of each piece. `since`: the first instant that is not listed."""
        self._left -= len(listed.instants)
        density = len(listed.instants) / (since - listed.instants[0])
        factor = max(2, ceil(density * (self.until - since) / len(listed.instants)))
        length = max(1, -(-(self.until - since) // _PIECES))
        edges, sums = [since], [0]
        while edges[-1] < self.until:
            begin, end = edges[-1], min(edges[-1] + length, self.until)
            counted, at, last = 0, begin - 1, begin + max(1, (end - begin) // factor)
            while (due := schedule.next_after_ms(at)) is not None and due < last:
                counted, at = counted + 1, due
                if not counted % _YIELD_EVERY:
                    yield
            edges.append(end)
            sums.append(sums[-1] + round(counted * (end - begin) / (last - begin)))
            yield
        return EstimatedCounter(listed, edges, sums)


def _shift(found: InstantCounter, shift: int) -> InstantCounter:
    if isinstance(found, EstimatedCounter):
        return EstimatedCounter(_shift_list(found.listed, shift), found.edges, found.sums)
    assert isinstance(found, ListCounter)
    return _shift_list(found, shift)


def _shift_list(found: ListCounter, shift: int) -> ListCounter:
    return ListCounter(found.instants, shift)
