"""The cells of a forecast in local time, and the number of instants of a schedule in each. Pure."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache
from math import ceil
from typing import Final, Protocol

from jobs.schedules import (
    BoundedSchedule,
    IntervalSchedule,
    Schedule,
    TimeZone,
    from_milliseconds,
    split_shift,
    to_milliseconds,
)
from scheduler.catalog.catalog import Query

_EPOCH = datetime(1970, 1, 1)
_HOUR_S, _DAY_S = 3600, 86_400
_CELL_S = 600
"""Seconds of a cell of the next 24 h."""
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


class ForecastRange(StrEnum):
    DAY = "24h"
    WEEK = "7d"

    @property
    def span(self) -> timedelta:
        """How far a forecast looks ahead."""
        return timedelta(days=1 if self is ForecastRange.DAY else 7)


@dataclass(frozen=True, slots=True)
class GridRow:
    """An hour of a day: `date` None means the same hour of every day, `offset_s` None any offset from UTC."""

    date: date | None
    hour: int
    offset_s: int | None = None


@dataclass(frozen=True, slots=True)
class GridCell:
    """`column`: ten minutes of the hour, or a day. `spans`: from and until in milliseconds, usually one."""

    row: int
    column: int
    spans: tuple[tuple[int, int], ...]

    @property
    def begin(self) -> datetime:
        return from_milliseconds(self.spans[0][0])

    @property
    def end(self) -> datetime:
        return from_milliseconds(self.spans[-1][1])

    @property
    def seconds(self) -> float:
        """The length, without what lies between its spans."""
        return sum(until - since for since, until in self.spans) / 1000


@dataclass(frozen=True, slots=True, eq=False)
class ForecastGrid:
    """`edges`: where spans of cells begin, in milliseconds, and the end; `cell_of_span`: the cell of each span.

    `days`: those of the columns; empty for the next 24 h.
    """

    range: ForecastRange
    zone: TimeZone
    edges: Sequence[int]
    cell_of_span: Sequence[int]
    cells: Sequence[GridCell]
    rows: Sequence[GridRow]
    days: Sequence[date] = ()

    @property
    def since(self) -> datetime:
        """The begin of the first cell."""
        return from_milliseconds(self.edges[0])

    @property
    def until(self) -> datetime:
        """The end of the last cell, exclusive."""
        return from_milliseconds(self.edges[-1])

    def find_cell(self, begin: datetime) -> int | None:
        """Return the number of the cell that begins at an instant."""
        at = to_milliseconds(begin)
        place = bisect_left(self.edges, at)
        if place >= len(self.cell_of_span) or self.edges[place] != at:
            return None
        cell = self.cell_of_span[place]
        return cell if self.cells[cell].spans[0][0] == at else None


def create_grid(chosen: ForecastRange, zone: tzinfo, now: datetime) -> ForecastGrid:
    """Return the cells from the one that contains `now`."""
    step = _CELL_S if chosen is ForecastRange.DAY else _HOUR_S
    local = _load_zone(zone)
    second = to_milliseconds(now) // 1000
    offset_span = local.span_at(second)
    wall = second + offset_span.offset
    return _create_cached(chosen, local, max(second - wall % step, offset_span.start), step)


# perf: each request for the page, 2 ms
@lru_cache(maxsize=16)
def _create_cached(chosen: ForecastRange, zone: TimeZone, since: int, step: int) -> ForecastGrid:
    return _arrange_cells(chosen, zone, _list_spans(zone, since, since + int(chosen.span.total_seconds()), step))


@lru_cache(maxsize=64)
def _load_zone(zone: tzinfo) -> TimeZone:
    return TimeZone(str(zone), zone)


@dataclass(frozen=True, slots=True)
class _Span:
    since: int
    until: int
    wall: int
    """Local time at the begin, in seconds."""
    offset: int


def _list_spans(zone: TimeZone, since: int, until: int, step: int) -> list[_Span]:
    """Divide a range at each multiple of `step` of local time, and at each change of it. All in seconds."""
    spans: list[_Span] = []
    while since < until:
        offset_span = zone.span_at(since)
        wall = since + offset_span.offset
        end = min(since + step - wall % step, offset_span.end, until)
        spans.append(_Span(since, end, wall, offset_span.offset))
        since = end
    return spans


def _arrange_cells(chosen: ForecastRange, zone: TimeZone, spans: Sequence[_Span]) -> ForecastGrid:
    by_place: dict[tuple[int, int], int] = {}
    rows: dict[GridRow, int] = {}
    days = sorted({_day(span.wall) for span in spans}) if chosen is ForecastRange.WEEK else []
    if chosen is ForecastRange.WEEK:
        rows = {GridRow(None, hour): hour for hour in range(24)}
    cell_spans: list[list[tuple[int, int]]] = []
    cell_of_span: list[int] = []
    for span in spans:
        hour = span.wall % _DAY_S // _HOUR_S
        if chosen is ForecastRange.WEEK:
            place = hour, days.index(_day(span.wall))
        else:
            row = rows.setdefault(GridRow(_day(span.wall), hour, span.offset), len(rows))
            place = row, span.wall % _HOUR_S // _CELL_S
        number = by_place.setdefault(place, len(by_place))
        if number == len(cell_spans):
            cell_spans.append([])
        cell_spans[number].append((span.since * 1000, span.until * 1000))
        cell_of_span.append(number)
    cells = [GridCell(*place, tuple(cell_spans[number])) for place, number in by_place.items()]
    edges = [span.since * 1000 for span in spans] + [spans[-1].until * 1000]
    return ForecastGrid(chosen, zone, edges, cell_of_span, cells, list(rows), days)


def _day(wall: int) -> date:
    return (_EPOCH + timedelta(seconds=wall)).date()


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


class CounterFactory(Query):
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
        return found if not shift else _shift_counter(found, shift)

    def _list(self, schedule: Schedule) -> Steps:
        instants, most = array("q"), min(self._max_listed, max(MIN_LISTED, self._left))
        at = self.since - MAX_SHARED_SHIFT_MS - 1
        while (due := schedule.next_after_ms(at)) is not None and due < self.until:
            if len(instants) == most:
                return (yield from self._estimate(schedule, ListCounter(instants), due))
            instants.append(due)
            at = due
            if not len(instants) % _YIELD_EVERY:
                yield
        self._left -= len(instants)
        return ListCounter(instants)

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


def _shift_counter(counter: InstantCounter, shift: int) -> InstantCounter:
    if isinstance(counter, EstimatedCounter):
        return EstimatedCounter(_shift_list(counter.listed, shift), counter.edges, counter.sums)
    assert isinstance(counter, ListCounter)
    return _shift_list(counter, shift)


def _shift_list(counter: ListCounter, shift: int) -> ListCounter:
    return ListCounter(counter.instants, shift)
