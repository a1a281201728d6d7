"""Equal spans of time, and what is counted in each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.features.overview.timelines import (
    NO_COUNTS,
    SPAN_COUNT,
    CountedPart,
    CountedRun,
    SpanCounts,
    TimeWindow,
    WindowBounds,
    count_spans,
    list_latencies,
    needs_runs,
)

NOW = datetime(2026, 11, 28, 12, 30, tzinfo=UTC)
HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)
OK, DOWN = SpanCounts(succeeded=60), SpanCounts(down=60)


def hour(number: int, counts: SpanCounts, latency: float | None = None) -> CountedPart:
    """The hour that began so many hours before 12:00."""
    return CountedPart(NOW.replace(minute=0) - number * HOUR, HOUR, counts, latency)


@pytest.mark.parametrize("window", TimeWindow)
def test_the_spans_end_with_the_one_of_now(window: TimeWindow) -> None:
    bounds = WindowBounds.of(window, NOW)
    assert bounds.place_of(NOW) == SPAN_COUNT - 1
    assert bounds.until - bounds.since == SPAN_COUNT * window.span
    assert bounds.until - window.span <= NOW < bounds.until


def test_a_run_counts_in_its_span() -> None:
    bounds = WindowBounds.of(TimeWindow.HOURS_24, NOW)
    runs = [CountedRun("a", NOW - 17 * MINUTE, SpanCounts(down=1)), CountedRun("b", NOW, SpanCounts(succeeded=1))]
    spans = count_spans(bounds, [], runs, bounds.since, NOW)
    assert spans[-1] == SpanCounts(succeeded=1)
    assert sum(map(sum, spans)) == 2
    assert [counts for counts in spans if counts.down] == [SpanCounts(down=1)]


def test_an_hour_without_known_runs_counts_in_each_of_its_spans() -> None:
    bounds = WindowBounds.of(TimeWindow.HOURS_24, NOW)
    spans = count_spans(bounds, [hour(2, DOWN)], [], bounds.until, NOW)
    down = [place for place, counts in enumerate(spans) if counts.down]
    assert len(down) in (4, 5)
    assert down[0] == bounds.place_of(NOW.replace(minute=0) - 2 * HOUR)


def test_the_current_hour_counts_up_to_now() -> None:
    bounds = WindowBounds.of(TimeWindow.HOURS_3, NOW)
    spans = count_spans(bounds, [hour(0, OK)], [], bounds.until, NOW)
    assert spans[bounds.place_of(NOW - MINUTE)] == OK
    assert sum(bool(counts.succeeded) for counts in spans) == 15


def test_runs_that_are_known_replace_what_their_hour_counts() -> None:
    bounds = WindowBounds.of(TimeWindow.HOURS_24, NOW)
    known_since = NOW - 45 * MINUTE
    runs = [CountedRun("a", known_since, SpanCounts(down=1))]
    spans = count_spans(bounds, [hour(1, SpanCounts(succeeded=59, down=1))], runs, known_since, NOW)
    assert spans[bounds.place_of(known_since)].down == 1
    before = spans[bounds.place_of(NOW - 90 * MINUTE + MINUTE)]
    assert (before.succeeded, before.down) == (59, 0)


def test_hours_within_a_span_are_added() -> None:
    bounds = WindowBounds.of(TimeWindow.DAYS_90, NOW)
    spans = count_spans(bounds, [hour(0, OK), hour(1, DOWN)], [], bounds.until, NOW)
    assert spans[-1] == SpanCounts(succeeded=60, down=60)
    assert spans[0] == NO_COUNTS


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (OK, False),
        (DOWN, False),
        (NO_COUNTS, False),
        (SpanCounts(succeeded=59, down=1), True),
        (SpanCounts(succeeded=1), True),
    ],
    ids=["uniform", "all down", "none", "mixed", "rare"],
)
def test_runs_are_needed_where_an_hour_does_not_tell_what_its_spans_had(counts: SpanCounts, expected: bool) -> None:
    assert needs_runs(WindowBounds.of(TimeWindow.HOURS_24, NOW), [hour(3, counts)], NOW) is expected
    assert not needs_runs(WindowBounds.of(TimeWindow.DAYS_90, NOW), [hour(3, counts)], NOW)


def test_latencies_of_one_span_are_one_value() -> None:
    parts = [hour(2, OK, 10.0), hour(1, OK, None), hour(0, OK, 30.0)]
    assert list_latencies(WindowBounds.of(TimeWindow.HOURS_24, NOW), parts) == [10.0, 30.0]
    assert list_latencies(WindowBounds.of(TimeWindow.DAYS_90, NOW), parts) == [20.0]


@given(st.sampled_from(list(TimeWindow)), st.timedeltas(timedelta(0), timedelta(days=400)))
def test_a_new_job_has_the_shortest_window_that_covers_its_life(window: TimeWindow, age: timedelta) -> None:
    narrow = window.narrow_to(age)

    assert narrow.span <= window.span
    assert narrow is window or narrow.span * SPAN_COUNT >= age
    assert not any(age <= each.span * SPAN_COUNT < narrow.span * SPAN_COUNT for each in TimeWindow)


def test_a_part_that_begins_before_the_first_run_is_shown_from_it_on() -> None:
    part = hour(3, SpanCounts(succeeded=2))
    first = part.start + timedelta(minutes=50)

    assert (part.starting_at(first).start, part.starting_at(first).end) == (first, part.end)
    assert part.starting_at(part.end) is part
    assert part.starting_at(part.start - timedelta(hours=1)) is part
