"""A chart of lines over time as an SVG of the server, with its text for screen readers. Pure.

Drawn by templates/charts.html: the paths stretch to the width of the page, texts do not. Called by
scheduler.features.jobs.job_page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scheduler.api.dashboard.rendering.chart_axes import Tick, TimeAxis, ValueAxis

_SIDE = 1000
"""Units of each side of the area in which the paths are drawn."""
_POINT_WIDTH = 0.8
"""Percent of the width, of a point without neighbours."""


@dataclass(frozen=True, slots=True)
class ChartLine:
    """`style`: the class of its path, `first`, `second` or `third`. `values`: None where there is no data."""

    name: str
    style: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """`latest`: the last value for people. `area`: the path of the surface below the line; empty without one."""

    name: str
    style: str
    path: str
    area: str
    latest: str


@dataclass(frozen=True, slots=True)
class ChartSpan:
    """One span of time: its place and width in percent, and its values for people."""

    place: float
    width: float
    text: str


@dataclass(frozen=True, slots=True)
class LineChart:
    """`label`: what the chart shows, in one or two sentences."""

    title: str
    label: str
    lines: Sequence[DrawnLine]
    value_ticks: Sequence[Tick]
    time_ticks: Sequence[Tick]
    spans: Sequence[ChartSpan]
    is_empty: bool


def draw_line_chart(
    title: str,
    starts: Sequence[datetime],
    span: timedelta,
    lines: Sequence[ChartLine],
    axes: tuple[TimeAxis, ValueAxis],
) -> LineChart:
    """Return the chart. A point is in the middle of its span; a line is interrupted where there is no data."""
    time, value = axes
    places = [time.place(start + span / 2) for start in starts]
    drawn = [_draw(line, places, value, has_area=number == 0) for number, line in enumerate(lines)]
    spans = [
        ChartSpan(left, round(time.place(start + span) - left, 3), text)
        for number, start in enumerate(starts)
        for left, text in [(time.place(start), _describe_span(number, start, lines, axes))]
        if text
    ]
    is_empty = not any(line.path for line in drawn)
    return LineChart(title, _describe(title, lines, axes), drawn, value.ticks, time.ticks, spans, is_empty)


def _draw(line: ChartLine, places: Sequence[float], axis: ValueAxis, *, has_area: bool) -> DrawnLine:
    paths, areas = [], []
    for part in _iterate_parts(line.values, places, axis):
        if len(part) == 1:
            # A single point is a short line, as a line of no length would not be visible.
            part = [(part[0][0] - _POINT_WIDTH / 2, part[0][1]), (part[0][0] + _POINT_WIDTH / 2, part[0][1])]
        points = [f"{x * _SIDE / 100:g} {y * _SIDE / 100:g}" for x, y in part]
        paths.append("M" + "L".join(points))
        if has_area:
            first, last = (part[at][0] * _SIDE / 100 for at in (0, -1))
            areas.append(f"M{first:g} {_SIDE}L" + "L".join(points) + f"L{last:g} {_SIDE}Z")
    latest = next((value for value in reversed(line.values) if value is not None), None)
    return DrawnLine(line.name, line.style, "".join(paths), "".join(areas), _format(latest, axis))


def _iterate_parts(
    values: Sequence[float | None], places: Sequence[float], axis: ValueAxis
) -> Iterator[list[tuple[float, float]]]:
    part: list[tuple[float, float]] = []
    for place, value in zip(places, values, strict=True):
        if value is not None:
            part.append((place, axis.place(value)))
        elif part:
            yield part
            part = []
    if part:
        yield part


def _describe_span(number: int, start: datetime, lines: Sequence[ChartLine], axes: tuple[TimeAxis, ValueAxis]) -> str:
    values = [(line.name, line.values[number]) for line in lines]
    if all(value is None for _, value in values):
        return ""
    return f"{axes[0].format(start)}: " + ", ".join(f"{name} {_format(value, axes[1])}" for name, value in values)


def _describe(title: str, lines: Sequence[ChartLine], axes: tuple[TimeAxis, ValueAxis]) -> str:
    time, axis = axes
    period = f"{title}, {time.format(time.since)} to {time.format(time.until)}"
    texts = []
    for line in lines:
        values = [value for value in line.values if value is not None]
        if values:
            lowest, highest, latest = (_format(value, axis) for value in (min(values), max(values), values[-1]))
            texts.append(f"{line.name} from {lowest} to {highest}, latest {latest}")
    return f"{period}: {'; '.join(texts)}." if texts else f"{period}: no data."


def _format(value: float | None, axis: ValueAxis) -> str:
    return "no data" if value is None else axis.format(value)
