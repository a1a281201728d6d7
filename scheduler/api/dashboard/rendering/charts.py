"""Charts as SVG of the server, with their texts for screen readers: lines, and the state of a job, over time. Pure.

Axes have ticks at full times of a zone and at round values. Places are percent of the axis, so that a chart fits any
width without a script. Drawn by templates/charts.html: the paths stretch to the width of the page, texts do not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from math import ceil, floor, log10

from jobs.runs.states import JobStatus

_DAY = timedelta(days=1)
_CLOCK_STEPS = tuple(timedelta(minutes=minutes) for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720))
_DAY_STEPS = (1, 2, 7, 14, 28, 56, 112)
_MAX_TIME_TICKS = 8
_VALUE_TICKS = 4
_PERCENT_FLOORS = (0.999, 0.99, 0.95, 0.9, 0.8, 0.5)


@dataclass(frozen=True, slots=True)
class Tick:
    """`is_minor`: a narrow screen has no space for it."""

    place: float
    text: str
    is_minor: bool = False


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """The instants from `since` to `until`, in the zone in which they are shown."""

    since: datetime
    until: datetime
    zone: tzinfo

    def place(self, instant: datetime) -> float:
        """Return the percent of the axis, within it."""
        share = (instant - self.since) / (self.until - self.since)
        return round(100 * min(max(share, 0.0), 1.0), 3)

    @property
    def ticks(self) -> list[Tick]:
        found = list(self._iterate_ticks())
        return [Tick(self.place(at), self._format_tick(at), bool(number % 2)) for number, at in enumerate(found)]

    def format(self, instant: datetime) -> str:
        """Return the instant for people: `28 Nov 14:05`, with seconds in a short period."""
        clock = "%d %b %H:%M:%S" if self.until - self.since < timedelta(hours=2) else "%d %b %H:%M"
        return f"{instant.astimezone(self.zone):{clock}}".lstrip("0")

    def _format_tick(self, instant: datetime) -> str:
        local = instant.astimezone(self.zone)
        return f"{local:%H:%M}" if local.hour or local.minute else f"{local:%d %b}".lstrip("0")

    def _iterate_ticks(self) -> Iterator[datetime]:
        length = self.until - self.since
        for step in _CLOCK_STEPS:
            if length / step <= _MAX_TIME_TICKS:
                return self._iterate_clock_times(step)
        days = next((days for days in _DAY_STEPS if length / (days * _DAY) <= _MAX_TIME_TICKS), _DAY_STEPS[-1])
        return (midnight for midnight in self._iterate_midnights() if not midnight.toordinal() % days)

    def _iterate_clock_times(self, step: timedelta) -> Iterator[datetime]:
        """Yield the full times of local days. A time that a change of the clock omits is omitted."""
        for midnight in self._iterate_midnights(before=True):
            for number in range(ceil(_DAY / step)):
                local = (midnight.replace(tzinfo=None) + number * step).replace(tzinfo=self.zone)
                at = local.astimezone(UTC)
                if self.since <= at <= self.until and at.astimezone(self.zone).hour == local.hour:
                    yield at

    def _iterate_midnights(self, *, before: bool = False) -> Iterator[datetime]:
        day = self.since.astimezone(self.zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
        while (midnight := day.replace(tzinfo=self.zone)) <= self.until:
            if before or midnight >= self.since:
                yield midnight
            day += _DAY


@dataclass(frozen=True, slots=True)
class ValueAxis:
    """Values from `low` to `high`. `values`: of the ticks. `format`: of a value for people."""

    low: float
    high: float
    values: Sequence[float]
    format: Callable[[float], str]

    def place(self, value: float) -> float:
        """Return the percent from the top."""
        share = (value - self.low) / (self.high - self.low)
        return round(100 * (1 - min(max(share, 0.0), 1.0)), 3)

    @property
    def ticks(self) -> list[Tick]:
        return [Tick(self.place(value), self.format(value)) for value in self.values]


def measure_axis(highest: float | None, format: Callable[[float], str]) -> ValueAxis:
    """Return the axis from 0 to a round value at or above the highest one."""
    top = max(highest or 0.0, 1.0)
    magnitude = 10.0 ** floor(log10(top / _VALUE_TICKS))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude * _VALUE_TICKS >= top)
    count = ceil(top / step)
    return ValueAxis(0.0, count * step, [number * step for number in range(count + 1)], format)


def ratio_axis(lowest: float | None, format: Callable[[float], str]) -> ValueAxis:
    """Return the axis of a share up to 1, from a round value at or below the lowest one."""
    low = next((bound for bound in _PERCENT_FLOORS if bound <= (1.0 if lowest is None else lowest)), 0.0)
    return ValueAxis(low, 1.0, [low, (low + 1) / 2, 1.0], format)


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


_SLOTS = 400
"""Parts of the strip: a state that is shorter than a part is shown in all of it, unless a worse one is."""
_BY_SEVERITY = (
    *(JobStatus.REMOVED, JobStatus.UNKNOWN, JobStatus.DISABLED, JobStatus.PAUSED, JobStatus.WAITING, JobStatus.UP),
    *(JobStatus.DEGRADED, JobStatus.SILENT, JobStatus.DOWN),
)


@dataclass(frozen=True, slots=True)
class StateSpan:
    """The job was in a state from `begin` to `end`; None: it is not known. `cause`: why it entered the state."""

    state: JobStatus | None
    begin: datetime
    end: datetime
    cause: str = ""


@dataclass(frozen=True, slots=True)
class StripPart:
    """`place` and `width` in percent. `state`: empty if it is not known. `text`: for people."""

    place: float
    width: float
    state: str
    text: str


@dataclass(frozen=True, slots=True)
class StateStrip:
    parts: Sequence[StripPart]
    time_ticks: Sequence[Tick]
    label: str


def draw_state_strip(spans: Sequence[StateSpan], axis: TimeAxis, label: str) -> StateStrip:
    """Return the strip of spans in the order of time."""
    slots: list[StateSpan | None] = [None] * _SLOTS
    for span in spans:
        first, last = (axis.place(at) * _SLOTS / 100 for at in (span.begin, span.end))
        for slot in range(int(first), min(max(int(last - 1e-9), int(first)) + 1, _SLOTS)):
            if _rank(span) >= _rank(slots[slot]):
                slots[slot] = span
    return StateStrip(list(_join_slots(slots, axis)), axis.ticks, label)


def _rank(span: StateSpan | None) -> int:
    return -1 if span is None or span.state is None else _BY_SEVERITY.index(span.state)


def _join_slots(slots: Sequence[StateSpan | None], axis: TimeAxis) -> Iterable[StripPart]:
    start = 0
    for slot in range(1, _SLOTS + 1):
        if slot < _SLOTS and slots[slot] is slots[start]:
            continue
        span = slots[start]
        state = span.state.value if span is not None and span.state is not None else ""
        yield StripPart(start * 100 / _SLOTS, (slot - start) * 100 / _SLOTS, state, _describe_part(span, axis))
        start = slot


def _describe_part(span: StateSpan | None, axis: TimeAxis) -> str:
    if span is None or span.state is None:
        return "not known"
    cause = f": {span.cause}" if span.cause else ""
    return f"{span.state}, {axis.format(span.begin)} to {axis.format(span.end)}{cause}"
