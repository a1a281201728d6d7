"""A forecast as the cells of a heat map: where much is due, and where runs are suspended. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import lru_cache
from itertools import pairwise
from math import ceil
from typing import Final

from scheduler.features.forecast.grid import ForecastGrid, ForecastRange, GridCell, GridRow
from scheduler.features.forecast.load import CellLoad
from scheduler.features.forecast.queries import Forecast
from scheduler.features.forecast.schedule_changes import ClockChange, ExcludedDay

LEVELS: Final = 5
"""Steps of the colour scale above none."""
CELL_FORMAT: Final = "%Y-%m-%dT%H:%MZ"
"""A cell in a URL: its begin in UTC."""
_ALIKE: Final = 1.1
"""Ratio of the largest and the smallest value below which cells count as equal."""
_SUSPENDED_SHARE: Final = 0.1
"""Of the instants of a cell, from which it is marked: one paused job must not mark them all."""
_COLUMNS_OF_DAY: Final = tuple(f":{minute:02}" for minute in range(0, 60, 10))


@dataclass(frozen=True, slots=True)
class HeatCell:
    """`key`: of the URL; `level`: 0 to LEVELS; `short`: its number, empty where all cells are alike; `text`: everything
    in words. `marks`: classes, `change` for a change of local time and `suspended`.
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
    """A logarithmic scale from the smallest to the largest value of a cell, so that small ones are visible next to
    large ones. If the cells hardly differ, all have the middle level.

    The values are runs, or milliseconds for which these are in-flight (`is_time`).
    """

    least: float
    most: float
    is_time: bool = False
    has_gaps: bool = False

    @staticmethod
    def of_values(values: Sequence[float], *, is_time: bool) -> HeatScale:
        positive = list(filter(None, values))
        return HeatScale(
            min(positive, default=0), max(positive, default=0), is_time, has_gaps=len(positive) < len(values)
        )

    @property
    def is_alike(self) -> bool:
        """Whether no cell differs from another."""
        return not self.has_gaps and self.most < _ALIKE * self.least

    def find_level(self, value: float) -> int:
        """Return 0 for no run, else 1 to LEVELS."""
        return bisect_right(self._limits, value) if value else 0

    def describe_levels(self) -> list[str]:
        """Return the values of each level from 1 on; an empty text for an unused one."""
        limits = [*self._limits, self.most if self.is_time else self.most + 1]
        return [self._describe_span(first, last) if first < last else "" for first, last in pairwise(limits)]

    def describe_all(self) -> str:
        """Return the values of all cells."""
        return self._describe_span(self.least, self.most if self.is_time else self.most + 1)

    def shorten(self, value: float) -> str:
        """Format a value for a cell, in at most six characters."""
        return shorten_span(value) if self.is_time else shorten_count(round(value))

    def _describe_span(self, first: float, last: float) -> str:
        ends = [self.shorten(first), self.shorten(last)] if self.is_time else [f"{first:,.0f}", f"{last - 1:,.0f}"]
        return " to ".join(dict.fromkeys(ends))

    @property
    def _limits(self) -> list[float]:
        """The least value of each level."""
        if self.most < _ALIKE * self.least:
            middle = ceil(LEVELS / 2)
            return [self.least if level <= middle else self.most + 1 for level in range(1, LEVELS + 1)]
        if not self.least:
            return [1.0] * LEVELS
        limits = [self.least * (self.most / self.least) ** (level / LEVELS) for level in range(LEVELS)]
        return limits if self.is_time else [float(ceil(limit - 1e-9)) for limit in limits]


@dataclass(frozen=True, slots=True)
class HeatMap:
    """`rows`: hours, each with a cell or None for each of `columns`. `legend`: the values of each level from 1 on.

    `is_rare`: without frequent jobs. `alike`: what each cell has of all jobs, with its unit, if no cell differs; else
    empty.
    """

    columns: Sequence[HeatLine]
    rows: Sequence[tuple[HeatLine, Sequence[HeatCell | None]]]
    legend: Sequence[str]
    summary: str
    is_rare: bool
    alike: str
    is_time: bool

    @property
    def has_suspended(self) -> bool:
        return any(cell is not None and "suspended" in cell.marks for _, cells in self.rows for cell in cells)


# perf: each request for the page, 3 ms
@lru_cache(maxsize=4)
def create_heat_map(forecast: Forecast, load: CellLoad | None, *, only_rare: bool | None) -> HeatMap:
    """Return the map in the time zone of the forecast, by the time of work if `load` knows it, else by runs.

    `only_rare`: without frequent jobs; None: if no cell differs otherwise.
    """
    grid, counts = forecast.grid, forecast.counts
    scale, values = _measure_cells(forecast, load, only_rare=False)
    unit = "in flight" if scale.is_time else "runs"
    alike = f"{scale.describe_all()} {unit}" if scale.is_alike else ""
    is_rare = bool(alike and any(counts.rare.runs)) if only_rare is None else only_rare
    if is_rare:
        scale, values = _measure_cells(forecast, load, only_rare=True)
    sums = counts.rare if is_rare else counts.every
    cells: list[list[HeatCell | None]] = [[None] * (len(grid.days) or len(_COLUMNS_OF_DAY)) for _ in grid.rows]
    own_changes = [each for each in forecast.changes if each.zone.name == grid.zone.name]
    for number, cell in enumerate(grid.cells):
        counted = sums.runs[number], sums.suspended[number]
        cells[cell.row][cell.column] = _create_cell(forecast, cell, counted, (scale, values[number]), own_changes)
    holidays = {each.day: each for each in reversed(forecast.days) if each.is_holiday}
    return HeatMap(
        _label_columns(grid, holidays),
        list(zip(_label_rows(grid, holidays), cells, strict=True)),
        scale.describe_levels(),
        _summarize_runs(grid, sums.runs),
        is_rare,
        alike,
        scale.is_time,
    )


def _measure_cells(forecast: Forecast, load: CellLoad | None, *, only_rare: bool) -> tuple[HeatScale, Sequence[float]]:
    """Return the value of each cell, and their scale."""
    runs = (forecast.counts.rare if only_rare else forecast.counts.every).runs
    concurrency = () if load is None else load.rare_concurrency if only_rare else load.concurrency
    if not any(concurrency):
        return HeatScale.of_values(runs, is_time=False), runs
    cells = forecast.grid.cells
    # A run whose duration is unknown is visible.
    values = [
        max(1000 * value * cell.seconds, 1.0) if count else 0.0
        for value, cell, count in zip(concurrency, cells, runs, strict=True)
    ]
    return HeatScale.of_values(values, is_time=True), values


def shorten_count(count: int) -> str:
    """Format a count in at most four characters: `999`, `1.2k`, `34k`, `5.1M`."""
    for size, unit in ((1_000_000, "M"), (1000, "k")):
        if count >= size:
            value = count / size
            return f"{value:.1f}{unit}" if value < 9.95 else f"{value:.0f}{unit}"
    return str(count)


def shorten_span(milliseconds: float) -> str:
    """Format a time in at most six characters: `40 ms`, `2.5 s`, `59 s`, `12 min`, `3.5 h`, `27 h`."""
    for size, unit in ((3_600_000, "h"), (60_000, "min"), (1000, "s")):
        if milliseconds >= 0.995 * size:
            value = milliseconds / size
            return f"{value:.1f}".removesuffix(".0") + f" {unit}" if value < 9.95 else f"{value:.0f} {unit}"
    return f"{milliseconds:.0f} ms"


def format_cell_time(cell: GridCell, zone: tzinfo) -> str:
    """Return `Sat 28 Nov 14:30 to 14:40`."""
    begin, end = cell.begin.astimezone(zone), cell.end.astimezone(zone)
    return f"{begin:%a} {begin.day} {begin:%b} {begin:%H:%M} to {end:%H:%M}"


def _create_cell(
    forecast: Forecast,
    cell: GridCell,
    counted_runs: tuple[int, int],
    measured: tuple[HeatScale, float],
    changes: Sequence[ClockChange],
) -> HeatCell:
    (runs, suspended), (scale, value) = counted_runs, measured
    text = f"{format_cell_time(cell, forecast.grid.zone.info)}: {_count_runs(runs)}"
    if scale.is_time and runs:
        text += f", {shorten_span(value)} in flight"
    marks: tuple[str, ...] = ()
    if suspended:
        text += f", {suspended} suspended"
        marks = ("suspended",) if suspended >= _SUSPENDED_SHARE * (runs + suspended) else ()
    if any(cell.begin <= each.at < cell.end for each in changes) or len(cell.spans) > 1:
        text, marks = f"{text}, the clock changes", (*marks, "change")
    short = "" if scale.is_alike else scale.shorten(value)
    return HeatCell(f"{cell.begin:{CELL_FORMAT}}", scale.find_level(value), short, text, marks)


def _count_runs(runs: int) -> str:
    return f"{runs:,} {'run' if runs == 1 else 'runs'}"


def _label_columns(grid: ForecastGrid, holidays: Mapping[date, ExcludedDay]) -> list[HeatLine]:
    if grid.range is ForecastRange.DAY:
        return [HeatLine(label) for label in _COLUMNS_OF_DAY]
    return [HeatLine(f"{day:%a}", f"{day.day} {day:%b}", is_holiday=day in holidays) for day in grid.days]


def _label_rows(grid: ForecastGrid, holidays: Mapping[date, ExcludedDay]) -> list[HeatLine]:
    lines: list[HeatLine] = []
    previous: GridRow | None = None
    for row in grid.rows:
        note = ""
        if row.date is not None and (previous is None or previous.date != row.date):
            note = f"{row.date:%a} {row.date.day} {row.date:%b}"
        if previous is not None and row.offset_s is not None and row.offset_s != previous.offset_s:
            note = f"{note} UTC{_format_offset(row.offset_s)}".strip()
        lines.append(HeatLine(f"{row.hour:02}", note, is_holiday=bool(note) and row.date in holidays))
        previous = row
    return lines


def _format_offset(seconds: int) -> str:
    minutes = abs(seconds) // 60
    return f"{'-' if seconds < 0 else '+'}{minutes // 60:02}:{minutes % 60:02}"


def _summarize_runs(grid: ForecastGrid, runs: Sequence[int]) -> str:
    """Return what the map shows, for those who do not see it."""
    busiest = max(range(len(runs)), key=runs.__getitem__)
    if not runs[busiest]:
        return "No run in these cells"
    text, time = _count_runs(sum(runs)), format_cell_time(grid.cells[busiest], grid.zone.info)
    if runs[busiest] == sum(runs):
        return f"{text}, {time}"
    if HeatScale.of_values(runs, is_time=False).is_alike:
        return f"{text}, equally many in each cell"
    if list(runs).count(runs[busiest]) > 1:
        return f"{text}, at most {runs[busiest]:,} in a cell, first {time}"
    return f"{text}, most of them {time}: {runs[busiest]:,}"


def parse_cell(text: str, grid: ForecastGrid) -> int | None:
    """Return the number of the cell in a URL; None if it is not in this range, such as one that has passed."""
    try:
        begin = datetime.strptime(f"{text.removesuffix('Z')}+0000", f"{CELL_FORMAT.removesuffix('Z')}%z")
    except ValueError:
        return None
    return grid.find_cell(begin)
