"""Draws the charts of a series of runs, and the strip of a job's states. Pure.

Called by scheduler.api.dashboard.chart_reading, and by pages that compare series: `draw_job_charts` takes any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from jobs.formats import describe_milliseconds, describe_span, format_count
from jobs.runs.histogram import Histogram
from jobs.runs.states import JobStatus, StateChange
from scheduler.api.dashboard.rendering.axes import TimeAxis, ValueAxis, fit_axis, ratio_axis
from scheduler.api.dashboard.rendering.charts import (
    GHOST,
    Chart,
    ChartKind,
    ChartLimit,
    ChartLine,
    ChartSpec,
    draw_chart,
)
from scheduler.api.dashboard.rendering.formatting import percent
from scheduler.api.dashboard.rendering.state_strip import StateSpan, StateStrip, draw_state_strip
from scheduler.features.changes.queries import StateHistory
from scheduler.features.statistics.sums import PHASES, RunSeries, quantiles
from scheduler.stores.runs.rollups.tally import Tally

PHASE_NAMES = dict(zip(PHASES, ("DNS", "connect", "TLS", "first byte", "body"), strict=True))
_BAD = frozenset({JobStatus.DOWN, JobStatus.SILENT})


def draw_history(history: StateHistory, axis: TimeAxis, until: datetime) -> StateStrip:
    """Return the strip of a period. `until`: now if the period has not ended."""
    spans = list(list_state_spans(history, axis, until))
    return draw_state_strip(spans, axis, _describe(spans, history, axis))


def list_state_spans(history: StateHistory, axis: TimeAxis, until: datetime) -> Iterator[StateSpan]:
    """Yield the states of the period, in the order of time."""
    changes = [*reversed(history.changes)]
    ends = [*(change.at for change in changes), until]
    begin = axis.since
    if history.before is not None:
        yield _to_span(history.before, begin, ends[0])
    elif history.known_since is not None:
        yield StateSpan(None, begin, ends[0])
    for change, end in zip(changes, ends[1:], strict=True):
        yield _to_span(change, change.at, end)


def _to_span(change: StateChange, begin: datetime, end: datetime) -> StateSpan:
    return StateSpan(change.state, begin, end, change.cause.message)


def _describe(spans: list[StateSpan], history: StateHistory, axis: TimeAxis) -> str:
    period = f"States, {axis.format(axis.since)} to {axis.format(axis.until)}"
    bad = [span for span in spans if span.state in _BAD]
    down = sum((span.end - span.begin for span in bad), timedelta())
    latest = next((span.state for span in reversed(spans) if span.state is not None), None)
    if latest is None:
        return f"{period}: not known."
    outages = f"down {format_count(len(bad), 'time')}, {describe_span(down.total_seconds())} in all"
    changes = format_count(len(history.changes), "change")
    return f"{period}: {outages if bad else 'never down'}; {changes}; at the end {latest}."


@dataclass(frozen=True, slots=True)
class PeriodNumbers:
    """The runs of a period. Times are in milliseconds, None without a run that has one."""

    runs: int
    down: int
    success: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    late: float | None


@dataclass(frozen=True, slots=True)
class ChartContext:
    """What the values of a job are compared with. `shift`: how long before the series `before` is.

    `usual`: response times by the hour of the day in UTC. `limits`: of rules and objectives, by the key of the chart.
    """

    before: RunSeries | None = None
    shift: timedelta = timedelta()
    usual: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    limits: Mapping[str, Sequence[ChartLimit]] = field(default_factory=dict)


def sum_up(tally: Tally) -> PeriodNumbers:
    """Return the numbers of a tally."""
    p50, p95, p99 = quantiles(tally.response_time)
    return PeriodNumbers(tally.runs, tally.down, _success(tally), p50, p95, p99, tally.lateness.quantile(0.95))


def draw_job_charts(
    series: RunSeries, axis: TimeAxis, now: datetime, context: ChartContext = ChartContext()
) -> Sequence[Chart]:
    """Return the charts of a series: response time and its phases, runs, success, lateness."""
    draw = _Drawing(series, axis, now, context)
    return [draw.response_time(), *draw.phases(), draw.runs(), draw.success(), draw.lateness()]


@dataclass(frozen=True, slots=True)
class _Drawing:
    series: RunSeries
    axis: TimeAxis
    now: datetime
    context: ChartContext

    def response_time(self) -> Chart:
        """Return the chart with the p50 of the period before, and what is usual."""
        lines = self._list_quantiles(lambda tally: tally.response_time, (0.5, 0.95, 0.99))
        usual = [self.context.usual.get(point.start.astimezone(UTC).hour) for point in self.series.points]
        before = self.context.before
        if before is not None and before.span == self.series.span:
            known = {point.start + self.context.shift: point.tally for point in before.points}
            tallies = [known.get(point.start, Tally()) for point in self.series.points]
            values = [tally.response_time.quantile(0.5) for tally in tallies]
            shift = describe_span(self.context.shift.total_seconds())
            lines.append(ChartLine(f"p50 {shift} before", GHOST, values, before.total.response_time.quantile(0.5)))
        return self._draw_times("response_time", "Response time", lines, usual, is_wide=True)

    def lateness(self) -> Chart:
        lines = self._list_quantiles(lambda tally: tally.lateness, (0.5, 0.95))
        return self._draw_times("lateness", "Lateness", lines)

    def phases(self) -> Iterator[Chart]:
        """Yield a chart of the mean phases, if the runs have any but the body."""
        means = [point.phases for point in self.series.points]
        if not any(any(each[:-1]) for each in means if each is not None):
            return
        lines = [
            ChartLine(PHASE_NAMES[phase], phase, [None if each is None else each[number] for each in means])
            for number, phase in enumerate(PHASES)
        ]
        axis = fit_axis([None if each is None else sum(each) for each in means], describe_milliseconds)
        yield self._draw("phases", "Mean response time by phase", lines, axis, ChartKind.COLUMNS, "ms", is_wide=True)

    def runs(self) -> Chart:
        tallies, total = [point.tally for point in self.series.points], self.series.total
        selected: Sequence[tuple[str, str, Callable[[Tally], int]]] = (
            ("down", "down", lambda tally: tally.down),
            ("degraded", "degraded", lambda tally: tally.degraded),
            ("succeeded", "up", lambda tally: tally.outcomes[0] - tally.degraded),
            ("unknown", "unknown", lambda tally: tally.unknown),
            ("others", "other", lambda tally: tally.runs - tally.down - tally.outcomes[0] - tally.unknown),
        )
        lines = [
            ChartLine(name, style, [count(each) if each.runs else None for each in tallies], count(total))
            for name, style, count in selected
            if count(total) or name == "succeeded"
        ]
        runs = [float(tally.runs) for tally in tallies]
        axis = fit_axis(runs, lambda value: f"{value:,.0f}", is_count=True)
        return self._draw("runs", "Runs", lines, axis, ChartKind.COLUMNS)

    def success(self) -> Chart:
        values = [_success(point.tally) for point in self.series.points]
        limits = [limit.value for limit in self.context.limits.get("success", ())]
        lowest = min([value for value in values if value is not None] + limits, default=None)
        line = ChartLine("success", "up", values, _success(self.series.total))
        return self._draw("success", "Success", [line], ratio_axis(lowest, percent), ChartKind.SHARE, "ratio")

    def _list_quantiles(self, select: Callable[[Tally], Histogram], shares: Sequence[float]) -> list[ChartLine]:
        total = select(self.series.total)
        return [
            ChartLine(
                f"p{share * 100:.0f}",
                style,
                [select(point.tally).quantile(share) for point in self.series.points],
                total.quantile(share),
            )
            for share, style in zip(shares, ("first", "second", "third"), strict=False)
        ]

    def _draw_times(
        self,
        key: str,
        title: str,
        lines: Sequence[ChartLine],
        usual: Sequence[tuple[float, float] | None] = (),
        *,
        is_wide: bool = False,
    ) -> Chart:
        tops = [
            max((value for line in lines if (value := line.values[number]) is not None), default=None)
            for number in range(len(self.series.points))
        ]
        limits = [limit.value for limit in self.context.limits.get(key, ())]
        axis = fit_axis(tops, describe_milliseconds, limits)
        return self._draw(key, title, lines, axis, ChartKind.LINES, "ms", usual, is_wide=is_wide)

    def _draw(
        self,
        key: str,
        title: str,
        lines: Sequence[ChartLine],
        axis: ValueAxis,
        kind: ChartKind,
        unit: str = "",
        usual: Sequence[tuple[float, float] | None] = (),
        *,
        is_wide: bool = False,
    ) -> Chart:
        starts, limits = [point.start for point in self.series.points], self.context.limits.get(key, ())
        axes = self.axis, axis
        spec = ChartSpec(
            key, title, starts, self.series.span, lines, axes, kind, unit, limits, usual, self.now, is_wide
        )
        return draw_chart(spec)


def _success(tally: Tally) -> float | None:
    succeeded = tally.outcomes[0]
    counted = succeeded + tally.down
    return succeeded / counted if counted else None
