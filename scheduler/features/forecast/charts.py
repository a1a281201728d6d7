"""A forecast as the cells of a heat map, and its load as texts and paths of SVG. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from functools import lru_cache
from itertools import pairwise
from math import ceil
from typing import Final

from jobs.formats import describe_milliseconds, format_count
from jobs.schedules import from_milliseconds
from scheduler.features.forecast.grid import ForecastGrid, ForecastRange, GridCell, GridRow
from scheduler.features.forecast.load import GroupContention, Lane
from scheduler.features.forecast.queries import Forecast, ForecastLoad
from scheduler.features.forecast.schedule_changes import ClockChange, ExcludedDay
from scheduler.worker.places import PlacesReport

LEVELS: Final = 5
"""Steps of the colour scale above none."""
CELL_FORMAT: Final = "%Y-%m-%dT%H:%MZ"
"""A cell in a URL: its begin in UTC."""
_ALIKE: Final = 1.1
"""Ratio of the most and the fewest runs up to which cells count as equal."""
_COLUMNS_OF_DAY: Final = tuple(f":{minute:02}" for minute in range(0, 60, 10))
MAX_CELLS_OF_GROUP: Final = 3
"""Contended cells that are named."""
_WIDTH, _LANE_HEIGHT, _CHART_HEIGHT = 1000, 16, 60
"""Units of the view boxes in the template."""
_MIN_BAR: Final = 3.0
"""Units: a run of a second in a day would be invisible."""
_AXIS_LABELS: Final = 5
_LIMIT_SHOWN: Final = 4.0
"""How many times the highest load the number of places may be, so that the chart shows its line."""


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
    return HeatMap(
        _label_columns(grid, holidays), list(rows), scale.describe_levels(), _summarize_runs(grid, sums.runs)
    )


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


@dataclass(frozen=True, slots=True)
class LaneView:
    """`kind`: `bars`, or `band` for runs that are too many to show one by one. `text`: for screen readers."""

    job: str
    kind: str
    path: str
    text: str
    milliseconds: float
    is_percentile: bool
    runs: int
    share: str


@dataclass(frozen=True, slots=True)
class GroupView:
    """`cells`: key of the URL, time and peak. `until`: the end of the simulation if it ended early."""

    contention: GroupContention
    advice: str
    cells: Sequence[tuple[str, str, int]]
    until: datetime | None


@dataclass(frozen=True, slots=True)
class LoadView:
    """`area`: the concurrent runs along the range. `limit_y`: the line of the places; None if it is far above.

    `contended`: the number of groups with runs that wait.
    """

    summary: str
    area: str
    limit_y: float | None
    axis: Sequence[str]
    lanes: Sequence[LaneView]
    unknown: int
    groups: Sequence[GroupView]
    contended: int


def create_load_view(
    forecast: Forecast, load: ForecastLoad, places: PlacesReport | None, *, only_rare: bool
) -> LoadView:
    """Return the load of a forecast. `only_rare`: lanes of jobs that are not frequent.

    `places`: of this process, None if it executes no runs.
    """
    grid, concurrency = forecast.grid, load.cells.concurrency
    peak = max(concurrency, default=0.0)
    total = None if places is None else places.total
    top = max(peak, total) if total is not None and total <= _LIMIT_SHOWN * peak else peak
    return LoadView(
        _summarize_load(grid, concurrency, total),
        _draw_area(grid, concurrency, top),
        None if total is None or not top or total > top else round(_CHART_HEIGHT * (1 - total / top), 1),
        _label_axis(grid),
        [_create_lane(grid, lane) for lane in (load.cells.rare_lanes if only_rare else load.cells.lanes)],
        load.cells.unknown,
        [_create_group(grid, each) for each in load.groups],
        sum(each.is_contended for each in load.groups),
    )


def _summarize_load(grid: ForecastGrid, concurrency: Sequence[float], places: int | None) -> str:
    if not concurrency:
        return ""
    seconds = [cell.seconds for cell in grid.cells]
    mean = sum(value * length for value, length in zip(concurrency, seconds, strict=True)) / sum(seconds)
    busiest = max(range(len(concurrency)), key=concurrency.__getitem__)
    of_places = "" if places is None else f" of {format_count(places, 'place')} of this process"
    when = format_cell_time(grid.cells[busiest], grid.zone.info)
    text = f"On average {_format_number(mean)} runs are expected to be in flight{of_places}; "
    text += f"most {when}: {_format_number(concurrency[busiest])}."
    if places is not None and concurrency[busiest] > places:
        text += " That is more than there are places: runs will start late."
    return text


def _draw_area(grid: ForecastGrid, concurrency: Sequence[float], top: float) -> str:
    """Return steps from cell to cell, in the order of time."""
    if not top:
        return ""
    points = [f"M0 {_CHART_HEIGHT}"]
    for place, cell in enumerate(grid.cell_of_span):
        begin, end = (_position(grid, at) for at in grid.edges[place : place + 2])
        height = _CHART_HEIGHT * (1 - concurrency[cell] / top)
        points.append(f"L{begin:.1f} {height:.1f}H{end:.1f}")
    return f"{''.join(points)}V{_CHART_HEIGHT}Z"


def _position(grid: ForecastGrid, at: int) -> float:
    return _WIDTH * (at - grid.edges[0]) / (grid.edges[-1] - grid.edges[0])


def _label_axis(grid: ForecastGrid) -> list[str]:
    step = (grid.until - grid.since) / (_AXIS_LABELS - 1)
    form = "%H:%M" if grid.range is ForecastRange.DAY else "%a %H:%M"
    return [f"{(grid.since + number * step).astimezone(grid.zone.info):{form}}" for number in range(_AXIS_LABELS)]


def _create_lane(grid: ForecastGrid, lane: Lane) -> LaneView:
    name, duration = lane.due.job.name, lane.duration
    share = _format_share(lane.share)
    text = (
        f"{format_count(lane.due.runs, 'run')} of {describe_milliseconds(duration.milliseconds)}, {share} of the time"
    )
    if lane.bars is None:
        height = min(1.0, max(lane.share, 0.06)) * _LANE_HEIGHT
        kind, path = "band", f"M0 {_LANE_HEIGHT}V{_LANE_HEIGHT - height:.1f}H{_WIDTH}V{_LANE_HEIGHT}Z"
    else:
        kind, path = "bars", _draw_bars(grid, lane)
        first = from_milliseconds(lane.bars[0][0]).astimezone(grid.zone.info) if lane.bars else None
        text += f", the first at {first:%H:%M}" if first is not None else ""
    milliseconds = duration.milliseconds
    return LaneView(name, kind, path, text, milliseconds, duration.is_percentile, lane.due.runs, share)


def _draw_bars(grid: ForecastGrid, lane: Lane) -> str:
    """Return a rectangle for each run. Runs that would touch are one."""
    intervals: list[list[float]] = []
    for since, until in lane.bars or ():
        begin = _position(grid, since)
        end = min(_WIDTH, max(_position(grid, until), begin + _MIN_BAR))
        if intervals and begin <= intervals[-1][1]:
            intervals[-1][1] = max(intervals[-1][1], end)
        else:
            intervals.append([begin, end])
    return "".join(f"M{begin:.1f} 0H{end:.1f}V{_LANE_HEIGHT}H{begin:.1f}Z" for begin, end in intervals)


def _create_group(grid: ForecastGrid, contention: GroupContention) -> GroupView:
    worst = []
    for number, peak in contention.list_cells()[:MAX_CELLS_OF_GROUP]:
        cell = grid.cells[number]
        worst.append((f"{cell.begin:{CELL_FORMAT}}", format_cell_time(cell, grid.zone.info), peak))
    is_early = contention.simulated_until < grid.edges[-1]
    until = from_milliseconds(contention.simulated_until) if is_early else None
    return GroupView(contention, contention.suggest(grid.edges[0]), worst, until)


def _format_number(value: float) -> str:
    if value < 0.01:
        return "less than 0.01" if value else "0"
    return f"{value:.2g}" if value < 10 else f"{value:,.0f}"


def _format_share(share: float) -> str:
    """Format as `12 %`, `0.3 %`, `< 0.1 %`."""
    percent = 100 * share
    if percent < 0.1:
        return "< 0.1 %"
    return f"{percent:.1f} %" if percent < 10 else f"{percent:.0f} %"
