"""Divides a window of time into SPAN_COUNT equal spans, and counts a job's runs in each. Pure.

Called by scheduler.queries.overview.history. The counts come from rollups of hours or days. Where a span is shorter
than an hour, they come from the runs themselves as far as these are given, and before from hours: then all spans of an
hour show the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final, NamedTuple

from jobs.runs import Outcome, Run

SPAN_COUNT: Final = 90
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class TimeWindow(StrEnum):
    """The time that the spans divide, and the value of it in URLs."""

    HOURS_1 = "1h"
    HOURS_3 = "3h"
    HOURS_24 = "24h"
    DAYS_7 = "7d"
    DAYS_90 = "90d"

    @property
    def span(self) -> timedelta:
        """The length of one span."""
        return _SPANS[self]

    def narrow_to(self, age: timedelta) -> TimeWindow:
        """Return the shortest window that covers this age, at most this one: a job that is new does not fill more."""
        covering = (window for window in TimeWindow if window.span * SPAN_COUNT >= age)
        return min(next(covering, self), self, key=lambda window: window.span)


_SPANS: Final = {
    TimeWindow.HOURS_1: timedelta(seconds=40),
    TimeWindow.HOURS_3: timedelta(minutes=2),
    TimeWindow.HOURS_24: timedelta(minutes=16),
    TimeWindow.DAYS_7: timedelta(minutes=112),
    TimeWindow.DAYS_90: timedelta(days=1),
}


class SpanCounts(NamedTuple):
    """Runs by what they show. `other`: skipped and cancelled ones."""

    succeeded: int = 0
    degraded: int = 0
    down: int = 0
    other: int = 0

    def add(self, more: SpanCounts) -> SpanCounts:
        return SpanCounts(*(own + other for own, other in zip(self, more, strict=True)))

    def subtract(self, less: SpanCounts) -> SpanCounts:
        return SpanCounts(*(max(0, own - other) for own, other in zip(self, less, strict=True)))

    @property
    def is_uniform(self) -> bool:
        """Whether all runs show the same."""
        return sum(map(bool, self)) == 1


NO_COUNTS: Final = SpanCounts()


class CountedPart(NamedTuple):
    """The counts of an hour or a day. `latency`: the median of its response times in milliseconds. `first_at`: when its
    first run that counts was due.
    """

    start: datetime
    length: timedelta
    counts: SpanCounts
    latency: float | None
    first_at: datetime | None = None

    @property
    def end(self) -> datetime:
        return self.start + self.length

    def starting_at(self, instant: datetime) -> CountedPart:
        """Return the part from this instant on, if that is inside of it."""
        if not self.start < instant < self.end:
            return self
        return self._replace(start=instant, length=self.end - instant)


class CountedRun(NamedTuple):
    id: str
    due_at: datetime
    counts: SpanCounts


@dataclass(frozen=True, slots=True)
class WindowBounds:
    """`until`: the end of the current span, in which `now` is."""

    since: datetime
    until: datetime
    span: timedelta

    @staticmethod
    def of(window: TimeWindow, now: datetime) -> WindowBounds:
        span = window.span
        until = _EPOCH + ((now - _EPOCH) // span + 1) * span
        return WindowBounds(until - SPAN_COUNT * span, until, span)

    def place_of(self, instant: datetime) -> int:
        """Return the number of the span of an instant; it may be outside of 0 to SPAN_COUNT - 1."""
        return (instant - self.since) // self.span


def count_run(run: Run) -> CountedRun:
    if run.outcome.down:
        counts = SpanCounts(down=1)
    elif run.outcome is not Outcome.SUCCEEDED:
        counts = SpanCounts(other=1)
    else:
        counts = SpanCounts(degraded=1) if run.degraded else SpanCounts(succeeded=1)
    return CountedRun(run.id, run.due_at, counts)


def count_spans(
    bounds: WindowBounds, parts: Iterable[CountedPart], runs: Sequence[CountedRun], known_since: datetime, now: datetime
) -> list[SpanCounts]:
    """Return the counts of each span, oldest first. `runs`: all that were due from `known_since` on."""
    spans = [NO_COUNTS] * SPAN_COUNT
    for part in parts:
        if part.start < known_since:
            _add_part(spans, bounds, _without(part, runs, known_since), min(known_since, now))
    for run in runs:
        place = bounds.place_of(run.due_at)
        if 0 <= place < SPAN_COUNT:
            spans[place] = spans[place].add(run.counts)
    return spans


def needs_runs(bounds: WindowBounds, parts: Iterable[CountedPart], now: datetime) -> bool:
    """Whether the parts do not show what each of their spans had: unlike runs, or fewer runs than spans."""
    return any(
        not part.counts.is_uniform or sum(part.counts) < (min(part.end, now) - part.start) / bounds.span
        for part in parts
        if part.length > bounds.span and part.counts != NO_COUNTS
    )


def list_latencies(bounds: WindowBounds, parts: Iterable[CountedPart]) -> list[float]:
    """Return the medians of the parts, oldest first: of those within one span their mean."""
    found: dict[datetime | int, list[float]] = {}
    for part in parts:
        if part.latency is not None:
            place = part.start if part.length > bounds.span else bounds.place_of(part.start)
            found.setdefault(place, []).append(part.latency)
    return [sum(values) / len(values) for values in found.values()]


def _without(part: CountedPart, runs: Sequence[CountedRun], known_since: datetime) -> CountedPart:
    """Return the part without those of these runs that it counts."""
    if part.end <= known_since:
        return part
    counts = part.counts
    for run in runs:
        if part.start <= run.due_at < part.end:
            counts = counts.subtract(run.counts)
    return part._replace(counts=counts)


def _add_part(spans: list[SpanCounts], bounds: WindowBounds, part: CountedPart, until: datetime) -> None:
    """A part that is shorter than a span counts in that of its start; a longer one in each that it touches."""
    first = last = bounds.place_of(part.start)
    if part.length > bounds.span:
        last = bounds.place_of(min(part.end, until) - timedelta(microseconds=1))
    for place in range(max(first, 0), min(last, SPAN_COUNT - 1) + 1):
        spans[place] = spans[place].add(part.counts)
