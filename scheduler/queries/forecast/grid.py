"""The cells of a forecast: ten minutes of the next 24 h, or hours of the next 7 d, in local time. Pure.

Called by scheduler.queries.forecast.reader. A cell is a time of the clock: when local time goes back, an hour of the
week has the runs of both passes, and an hour of the day is two rows. A time that local time skips has no cell.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from enum import StrEnum
from functools import lru_cache

from jobs.schedules import TimeZone, from_milliseconds, to_milliseconds

_EPOCH = datetime(1970, 1, 1)
_HOUR_S, _DAY_S = 3600, 86_400
_CELL_S = 600
"""Seconds of a cell of the next 24 h."""


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
    return _create(chosen, local, max(second - wall % step, offset_span.start), step)


# perf: each request for the page, 2 ms
@lru_cache(maxsize=16)
def _create(chosen: ForecastRange, zone: TimeZone, since: int, step: int) -> ForecastGrid:
    return _arrange(chosen, zone, _list_spans(zone, since, since + int(chosen.span.total_seconds()), step))


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
    found: list[_Span] = []
    while since < until:
        offset_span = zone.span_at(since)
        wall = since + offset_span.offset
        end = min(since + step - wall % step, offset_span.end, until)
        found.append(_Span(since, end, wall, offset_span.offset))
        since = end
    return found


def _arrange(chosen: ForecastRange, zone: TimeZone, spans: Sequence[_Span]) -> ForecastGrid:
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
