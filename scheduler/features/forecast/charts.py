"""The load of a forecast as texts and paths of SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from jobs.formats import describe_milliseconds, format_count
from jobs.schedules import from_milliseconds
from scheduler.features.forecast.grid import ForecastGrid, ForecastRange
from scheduler.features.forecast.heat_map import CELL_FORMAT, format_cell_time
from scheduler.features.forecast.load import GroupContention, Lane
from scheduler.features.forecast.queries import Forecast, ForecastLoad
from scheduler.worker.places import PlacesReport

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
