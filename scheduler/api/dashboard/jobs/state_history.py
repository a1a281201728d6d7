"""The strip of a job's states, and its sentence. Called by scheduler.api.dashboard.jobs.job_charts. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from jobs.formats.counts import format_count
from jobs.formats.durations import describe_span
from jobs.runs.states import JobStatus, StateChange
from scheduler.api.dashboard.rendering.chart_axes import TimeAxis
from scheduler.api.dashboard.rendering.state_strip import StateSpan, StateStrip, draw_state_strip
from scheduler.features.changes.queries import StateHistory

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
