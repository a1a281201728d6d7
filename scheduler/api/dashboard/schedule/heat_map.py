"""The heat map of a forecast as rows of cells with texts. Pure.

Called by scheduler.api.dashboard.schedule.schedule_page.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import lru_cache
from itertools import pairwise
from math import ceil
from typing import Final

from jobs.formats.counts import format_count
from scheduler.queries.forecast.clock_changes import ClockChange
from scheduler.queries.forecast.excluded_days import ExcludedDay
from scheduler.queries.forecast.grid import ForecastGrid, ForecastRange, GridCell, GridRow
from scheduler.queries.forecast.reader import Forecast

LEVELS: Final = 5
"""Steps of the colour scale above none."""
CELL_FORMAT: Final = "%Y-%m-%dT%H:%MZ"
"""A cell in a URL: its begin in UTC."""
_ALIKE: Final = 1.1
"""Ratio of the most and the fewest runs up to which cells count as equal."""
_COLUMNS_OF_DAY: Final = tuple(f":{minute:02}" for minute in range(0, 60, 10))


@dataclass(frozen=True, slots=True)
class HeatCell:
    """`key`: of the URL; `level`: 0 to LEVELS; `short`: the number of runs; `text`: everything in words.

    `marks`: classes, `change` for a change of local time and `suspended`.
    """

    key: str
    level: int
    short: str
    text: str
    marks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class HeatLine:
    """A row or the head of a column. `note`: such as the date, or a holiday."""

    label: str
    note: str = ""
    is_holiday: bool = False


@dataclass(frozen=True, slots=True)
class HeatScale:
    """A logarithmic scale from the fewest to the most runs of a cell, so that few are visible next to many.

    If the cells hardly differ, all have the middle level.
    """

    least: int
    most: int

    @staticmethod
    def of_counts(runs: Sequence[int]) -> HeatScale:
        return HeatScale(min(filter(None, runs), default=0), max(runs, default=0))

    def find_level(self, runs: int) -> int:
        """Return 0 for no run, else 1 to LEVELS."""
        return bisect_right(self._limits, runs) if runs else 0

    def describe_levels(self) -> list[str]:
        """Return the numbers of each level from 1 on; an empty text for an unused one."""
        limits = [*self._limits, self.most + 1]
        spans = pairwise(limits)
        return [_format_span(first, last - 1) if first < last else "" for first, last in spans]

    @property
    def _limits(self) -> list[int]:
        """The least number of each level."""
        if self.most <= _ALIKE * self.least:
            middle = ceil(LEVELS / 2)
            return [self.least if level <= middle else self.most + 1 for level in range(1, LEVELS + 1)]
        ratio = self.most / self.least
        return [ceil(self.least * ratio ** (level / LEVELS) - 1e-9) for level in range(LEVELS)]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """`rows`: hours, each with a cell or None for each of `columns`. `legend`: the numbers of each level from 1 on."""

    columns: Sequence[HeatLine]
    rows: Sequence[tuple[HeatLine, Sequence[HeatCell | None]]]
    legend: Sequence[str]
    summary: str


# perf: each request for the page, 3 ms
@lru_cache(maxsize=4)
def create_heat_map(forecast: Forecast, *, only_rare: bool) -> HeatMap:
    """Return the map in the time zone of the forecast. `only_rare`: without frequent jobs."""
    grid, zone = forecast.grid, forecast.grid.zone.info
    sums = forecast.counts.rare if only_rare else forecast.counts.every
    scale = HeatScale.of_counts(sums.runs)
    cells: list[list[HeatCell | None]] = [[None] * (len(grid.days) or len(_COLUMNS_OF_DAY)) for _ in grid.rows]
    own_changes = [each for each in forecast.changes if each.zone.name == grid.zone.name]
    for number, cell in enumerate(grid.cells):
        runs, suspended = sums.runs[number], sums.suspended[number]
        cells[cell.row][cell.column] = _create_cell(cell, zone, (runs, suspended), scale, own_changes)
    holidays = {each.day: each for each in reversed(forecast.days) if each.is_holiday}
    rows = zip(_label_rows(grid, holidays), cells, strict=True)
    return HeatMap(_label_columns(grid, holidays), list(rows), scale.describe_levels(), _summarize(grid, sums.runs))


def shorten_count(count: int) -> str:
    """Format a count in at most four characters: `999`, `1.2k`, `34k`, `5.1M`."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if count >= size:
            value = count / size
            return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"
    return str(count)


def format_cell_time(cell: GridCell, zone: tzinfo) -> str:
    """Return `Sat 28 Nov 14:30 to 14:40`."""
    begin, end = cell.begin.astimezone(zone), cell.end.astimezone(zone)
    return f"{begin:%a} {begin.day} {begin:%b} {begin:%H:%M} to {end:%H:%M}"


def _create_cell(
    cell: GridCell, zone: tzinfo, counted_runs: tuple[int, int], scale: HeatScale, changes: Sequence[ClockChange]
) -> HeatCell:
    runs, suspended = counted_runs
    text = f"{format_cell_time(cell, zone)}: {format_count(runs, 'run')}"
    marks: tuple[str, ...] = ()
    if suspended:
        text, marks = f"{text}, {suspended} suspended", ("suspended",)
    if any(cell.begin <= each.at < cell.end for each in changes) or len(cell.spans) > 1:
        text, marks = f"{text}, the clock changes", (*marks, "change")
    return HeatCell(f"{cell.begin:{CELL_FORMAT}}", scale.find_level(runs), shorten_count(runs), text, marks)


def _format_span(first: int, last: int) -> str:
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"


def _label_columns(grid: ForecastGrid, holidays: Mapping[date, ExcludedDay]) -> list[HeatLine]:
    if grid.range is ForecastRange.DAY:
        return [HeatLine(label) for label in _COLUMNS_OF_DAY]
    return [HeatLine(f"{day:%a}", f"{day.day} {day:%b}", is_holiday=day in holidays) for day in grid.days]


def _label_rows(grid: ForecastGrid, holidays: Mapping[date, ExcludedDay]) -> list[HeatLine]:
    found: list[HeatLine] = []
    previous: GridRow | None = None
    for row in grid.rows:
        note = ""
        if row.date is not None and (previous is None or previous.date != row.date):
            note = f"{row.date:%a} {row.date.day} {row.date:%b}"
        if previous is not None and row.offset_s is not None and row.offset_s != previous.offset_s:
            note = f"{note} UTC{_format_offset(row.offset_s)}".strip()
        found.append(HeatLine(f"{row.hour:02}", note, is_holiday=bool(note) and row.date in holidays))
        previous = row
    return found


def _format_offset(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _summarize(grid: ForecastGrid, runs: Sequence[int]) -> str:
    """Return what the map shows, for those who do not see it."""
    busiest = max(range(len(runs)), key=runs.__getitem__)
    if not runs[busiest]:
        return "No run in these cells"
    return (
        f"{sum(runs):,} runs, most of them {format_cell_time(grid.cells[busiest], grid.zone.info)}: {runs[busiest]:,}"
    )


def parse_cell(text: str, grid: ForecastGrid) -> int | None:
    """Return the number of the cell in a URL; None if it is not in this range, such as one that has passed."""
    try:
        begin = datetime.strptime(f"{text.removesuffix('Z')}+0000", f"{CELL_FORMAT.removesuffix('Z')}%z")
    except ValueError:
        return None
    return grid.find_cell(begin)
