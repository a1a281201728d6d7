"""Charts as SVG of the server, with their texts for screen readers: lines and columns.

Pure. Called by the pages that have charts, and drawn by templates/charts.html: the paths stretch to the width of the
page, texts do not. A page draws its charts on one time axis: charts.js shows their values under one cross-hair.

    chart = draw_chart(ChartSpec("time", "Response time", starts, HOUR, lines, (time_axis, value_axis)))
    {{ chart(drawn, markers, bands, csv_path) }}
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from itertools import groupby, pairwise
from statistics import median

from scheduler.api.dashboard.rendering.axes import Tick, TimeAxis, ValueAxis

_SIDE = 1000
"""Units of each side of the area in which the paths are drawn."""
_POINT_WIDTH = 0.8
"""Percent of the width, of a point without neighbours."""
_COLUMN_SHARE, _NARROW = 0.84, 1.2
"""Of its span, the width of a column. Those of less width, in percent of the chart, have no distance."""
_LABEL_HEIGHT = 11.0
"""Percent of the height that the text of a limit takes."""
_CLIP_TEXT_WIDTH = 12.0
"""Percent of the width that the text of a value that is cut off takes, on a narrow screen."""
_ROUNDING = 1 + 1e-9
_GAPS_COMPARED = 4
"""Distances between points before and after one, with which it is compared."""
_MAX_GAP = 1.5
"""How many times the median of these a distance may be, so that the line continues: a job can run less often than
spans begin."""


class ChartKind(StrEnum):
    LINES = "lines"
    COLUMNS = "columns"
    """Sums of spans, one above the other."""
    SHARE = "share"
    """Columns of one share up to 1, of which the missing rest is drawn, too."""


@dataclass(frozen=True, slots=True)
class ChartLine:
    """`style`: the class of its path. `values`: None without data. `total`: of the whole period.

    A line of the style GHOST is about another period: the numbers of the chart are without it.
    """

    name: str
    style: str
    values: Sequence[float | None]
    total: float | None = None


GHOST = "ghost"


@dataclass(frozen=True, slots=True)
class ChartLimit:
    """A value that a rule or an objective names."""

    value: float
    text: str


@dataclass(frozen=True)
class ChartSpec:
    """What a chart shows. `key`: names it in addresses. `starts`: of the points, each of which is a span long.

    `unit`: of the values in files, such as `ms`. `usual`: the lowest and the highest usual value of each point.
    `now`: the span that it is within is incomplete.
    """

    key: str
    title: str
    starts: Sequence[datetime]
    span: timedelta
    lines: Sequence[ChartLine]
    axes: tuple[TimeAxis, ValueAxis]
    kind: ChartKind = ChartKind.LINES
    unit: str = ""
    limits: Sequence[ChartLimit] = ()
    usual: Sequence[tuple[float, float] | None] = ()
    now: datetime | None = None
    is_wide: bool = False

    def is_open(self, start: datetime) -> bool:
        """Return whether a span has not ended yet."""
        return self.now is not None and start <= self.now < start + self.span

    @cached_property
    def places(self) -> Sequence[float]:
        """The middle of each span, of one that has not ended the middle of its past, in percent of the time axis."""
        ends = (self.now if self.now and self.is_open(start) else start + self.span for start in self.starts)
        return [self.axes[0].place(start + (end - start) / 2) for start, end in zip(self.starts, ends, strict=True)]


@dataclass(frozen=True, slots=True)
class DrawnLine:
    """`total`: of the period for people, or empty. `path`: `open_path` without what is of the incomplete span.

    `area`: the path of the surface below the line; empty without one.
    """

    name: str
    style: str
    path: str
    open_path: str
    area: str
    total: str


@dataclass(frozen=True, slots=True)
class PlacedText:
    """`place`: in percent, of the height for a limit, of the width for a value that is cut off."""

    place: float
    text: str


@dataclass(frozen=True, slots=True)
class ChartRow:
    """The numbers of one span, None without data."""

    start: datetime
    end: datetime
    is_complete: bool
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Chart:
    """`label`: what the chart shows, in some sentences. `points`: the texts of the points, as JSON for the script.

    `clipped`: values above the axis; those near a higher one have no text. `rows`: of spans with data, oldest first.
    """

    spec: ChartSpec
    label: str
    lines: Sequence[DrawnLine]
    limits: Sequence[PlacedText]
    usual: str
    clipped: Sequence[PlacedText]
    points: str
    rows: Sequence[ChartRow]
    is_empty: bool

    @property
    def value_ticks(self) -> Sequence[Tick]:
        return self.spec.axes[1].ticks

    @property
    def time_ticks(self) -> Sequence[Tick]:
        return self.spec.axes[0].ticks


def draw_chart(spec: ChartSpec) -> Chart:
    """Return the chart. A point is in the middle of its span; a line is interrupted without data."""
    own = [line for line in spec.lines if line.style != GHOST]
    drawn = _draw_columns(spec) if spec.kind in (ChartKind.COLUMNS, ChartKind.SHARE) else _draw_lines(spec)
    rows = [
        ChartRow(start, start + spec.span, not spec.is_open(start), values)
        for number, start in enumerate(spec.starts)
        for values in [[line.values[number] for line in own]]
        if any(value is not None for value in values)
    ]
    points = json.dumps(list(_list_points(spec)), separators=(",", ":"), ensure_ascii=False)
    return Chart(
        spec,
        _describe(spec),
        drawn,
        _place_limits(spec),
        _draw_usual(spec),
        _mark_clipped(spec),
        points,
        rows,
        not rows,
    )


def _draw_lines(spec: ChartSpec) -> list[DrawnLine]:
    places, axis = spec.places, spec.axes[1]
    is_open = bool(spec.starts) and spec.is_open(spec.starts[-1])
    drawn = []
    for number, line in enumerate(spec.lines):
        paths, tails, areas = [], [], []
        for part in _iterate_parts(line.values, places, axis):
            ends_open = is_open and part[-1][0] == places[-1] and line.style != GHOST
            paths.append(_path(part[:-1] if ends_open else part))
            tails.append(_path(part[-2:]) if ends_open else "")
            areas.append(_area(part, [(part[0][0], 100.0), (part[-1][0], 100.0)]) if number == 0 else "")
        total = "" if line.total is None else axis.format(line.total)
        drawn.append(DrawnLine(line.name, line.style, "".join(paths), "".join(tails), "".join(areas), total))
    return drawn


def _path(points: Sequence[tuple[float, float]]) -> str:
    """A single point is a short line, as a line of no length would not be visible."""
    if len(points) == 1:
        ((x, y),) = points
        left = min(max(x - _POINT_WIDTH / 2, 0.0), 100 - _POINT_WIDTH)
        points = [(left, y), (left + _POINT_WIDTH, y)]
    return "M" + "L".join(_at(*point) for point in points) if points else ""


def _area(upper: Sequence[tuple[float, float]], lower: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(_at(*point) for point in (*upper, *reversed(lower))) + "Z" if len(upper) > 1 else ""


def _at(x: float, y: float) -> str:
    return f"{x * _SIDE / 100:.6g} {y * _SIDE / 100:.4g}"


def _iterate_parts(
    values: Sequence[float | None], places: Sequence[float], axis: ValueAxis
) -> Iterator[list[tuple[float, float]]]:
    """Yield the parts of a line. It is interrupted where data is missing for longer than usual around that place."""
    found = [number for number, value in enumerate(values) if value is not None]
    gaps = [later - earlier for earlier, later in pairwise(found)]
    part: list[tuple[float, float]] = []
    for at, number in enumerate(found):
        near = gaps[max(0, at - 1 - _GAPS_COMPARED) : at + _GAPS_COMPARED]
        if at and gaps[at - 1] > _MAX_GAP * median(near):
            yield part
            part = []
        part.append((places[number], axis.place(values[number] or 0.0)))
    if part:
        yield part


def _draw_columns(spec: ChartSpec) -> list[DrawnLine]:
    time, axis = spec.axes
    edges = [(time.place(start), time.place(start + spec.span)) for start in spec.starts]
    lower: list[float] = [0.0] * len(edges)
    drawn = []
    for line in spec.lines:
        paths: dict[str, list[str]] = {"closed": [], "open": [], "rest": []}
        for number, ((left, right), value) in enumerate(zip(edges, line.values, strict=True)):
            if value is None:
                continue
            gap = (right - left) * (1 - _COLUMN_SHARE) / 2 if right - left > _NARROW else 0.0
            box = left + gap, right - gap
            kind = "open" if spec.is_open(spec.starts[number]) else "closed"
            bottom, top = axis.place(lower[number]), axis.place(lower[number] + value)
            paths[kind].append(_column(*box, bottom, top))
            if spec.kind is ChartKind.SHARE:
                paths["rest"].append(_column(*box, top, 0.0))
            else:
                lower[number] += value
        closed, open_path, rest = ("".join(found) for found in paths.values())
        total = "" if line.total is None else axis.format(line.total)
        drawn.append(DrawnLine(line.name, line.style, closed, open_path, rest, total))
    return drawn


def _column(left: float, right: float, bottom: float, top: float) -> str:
    x, to, y, upper = (f"{place * _SIDE / 100:.6g}" for place in (left, right, bottom, top))
    return f"M{x} {y}V{upper}H{to}V{y}Z" if y != upper else ""


def _draw_usual(spec: ChartSpec) -> str:
    axis, areas = spec.axes[1], []
    for is_known, part in groupby(zip(spec.places, spec.usual, strict=False), lambda each: each[1] is not None):
        if is_known:
            known = [(place, each) for place, each in part if each is not None]
            upper, lower = ([(place, axis.place(each[side])) for place, each in known] for side in (1, 0))
            areas.append(_area(upper, lower))
    return "".join(areas)


def _place_limits(spec: ChartSpec) -> list[PlacedText]:
    """Return the limits within the axis, the highest first. A text that would touch the one above is with that one."""
    axis, texts = spec.axes[1], dict[float, list[str]]()
    written = -_LABEL_HEIGHT
    places = sorted((axis.place(each.value), each.text) for each in spec.limits if axis.low <= each.value <= axis.high)
    for place, text in places:
        texts.setdefault(place, [])
        written = written if place - written < _LABEL_HEIGHT else place
        texts[written].append(text)
    return [PlacedText(place, ", ".join(found)) for place, found in texts.items()]


def _mark_clipped(spec: ChartSpec) -> list[PlacedText]:
    """Return the points with a value above the axis; of neighbours, the highest one alone has a text."""
    axis, marks = spec.axes[1], list[PlacedText]()
    tops = [max((line.values[number] or 0.0 for line in spec.lines), default=0.0) for number in range(len(spec.starts))]
    if spec.kind is ChartKind.COLUMNS:
        tops = [sum(line.values[number] or 0.0 for line in spec.lines) for number in range(len(spec.starts))]
    written = list[float]()
    for top, place in sorted(zip(tops, spec.places, strict=True), reverse=True):
        if top > axis.high * _ROUNDING:
            has_space = all(abs(place - other) > _CLIP_TEXT_WIDTH for other in written)
            marks.append(PlacedText(place, axis.format(top) if has_space else ""))
            written += [place] if has_space else []
    return marks


def _list_points(spec: ChartSpec) -> Iterator[tuple[float, str, str, list[float | None]]]:
    """Yield the place of each point, its time, its values in words, and their places from the top; None without one."""
    time, axis = spec.axes
    for number, (start, place) in enumerate(zip(spec.starts, spec.places, strict=True)):
        values = [line.values[number] for line in spec.lines]
        named = [(line.name, value) for line, value in zip(spec.lines, values, strict=True) if value is not None]
        texts = [f"{name} {axis.format(value)}" for name, value in named]
        usual = spec.usual[number] if number < len(spec.usual) else None
        if usual is not None:
            texts.append(f"usual {axis.format(usual[0])} to {axis.format(usual[1])}")
        at = f"{time.format(start)}{', so far' if spec.is_open(start) else ''}"
        dots = (
            [None if value is None else axis.place(value) for value in values] if spec.kind is ChartKind.LINES else []
        )
        yield place, at, ", ".join(texts) or "no data", dots if spec.kind is ChartKind.LINES else []


def _describe(spec: ChartSpec) -> str:
    time, axis = spec.axes
    period = f"{spec.title}, {time.format(time.since)} to {time.format(time.until)}"
    texts = []
    for line in spec.lines:
        values = [value for value in line.values if value is not None]
        if values and line.style != GHOST:
            lowest, highest, latest = (axis.format(value) for value in (min(values), max(values), values[-1]))
            texts.append(f"{line.name} from {lowest} to {highest}, latest {latest}")
    limits = "".join(f" Limit: {limit.text}." for limit in spec.limits)
    return f"{period}: {'; '.join(texts)}.{limits}" if texts else f"{period}: no data."


@dataclass(frozen=True, slots=True)
class ChartBand:
    """A time that all charts of a page show as a shaded band. `kind`: its class. `text`: for people. Places in percent.

    `path`: of the page about it; empty without one.
    """

    place: float
    width: float
    kind: str
    text: str
    path: str = ""


_MIN_BAND_WIDTH = 0.4
"""Percent of the width: a shorter time would not be visible."""


def place_band(begin: datetime, end: datetime, kind: str, text: str, axis: TimeAxis, path: str = "") -> ChartBand:
    """Return the band of a time that is at least partly within the axis."""
    left, right = axis.place(begin), axis.place(end)
    width = max(right - left, _MIN_BAND_WIDTH)
    return ChartBand(min(left, 100 - width), round(width, 3), kind, text, path)
