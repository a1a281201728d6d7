"""Bars and sparklines: what they draw, and what they tell those who do not see them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from scheduler.api.dashboard.rendering import templates
from scheduler.api.dashboard.rendering.templates import MAX_REASON, MAX_REASONS, describe_line, sparkline
from scheduler.features.overview.timelines import NO_COUNTS, SPAN_COUNT, JobTimeline, SpanCounts, TimeWindow

SINCE = datetime(2026, 3, 1, 12, tzinfo=UTC)


def bars(spans: Sequence[SpanCounts], label: str, reasons: Mapping[int, str] = {}) -> str:
    timeline = JobTimeline(spans, [], NO_COUNTS, None, False, TimeWindow.HOURS_24, SINCE, reasons)
    return templates.bars(timeline, label, "/jobs/a")


def attribute(svg: str, name: str) -> str:
    found = re.search(rf' {name}="([^"]*)"', svg)
    return unescape(found[1]) if found else ""


def paths(svg: str) -> dict[str, str]:
    return dict(re.findall(r'<path class="bar-(\w+)" d="([^"]*)"', svg))


def test_each_result_has_its_own_height() -> None:
    spans = [NO_COUNTS, SpanCounts(5), SpanCounts(4, degraded=1), SpanCounts(down=5), SpanCounts(other=1)]
    spans.append(SpanCounts(other=1, unknown=1))
    drawn = paths(bars(spans, "text"))
    assert drawn == {
        "none": "M1 23v1",
        "up": "M4 10v14",
        "degraded": "M7 10v6M7 18v6",
        "down": "M10 0v24",
        "other": "M13 20v4",
        "unknown": "M16 10v2M16 15v2M16 20v2",
    }


def test_a_span_with_some_failures_shows_their_share() -> None:
    drawn = paths(bars([SpanCounts(succeeded=1, down=1), SpanCounts(succeeded=999, down=1)], "text"))
    assert drawn["down"] == "M1 0v12M4 0v6"
    assert drawn["up"] == "M1 13v11M4 7v17"


def test_the_text_of_bars_is_escaped() -> None:
    svg = bars([], '"><script>')
    assert 'aria-label="&#34;&gt;&lt;script&gt;"' in svg
    assert "<script>" not in svg


@given(
    st.lists(st.builds(SpanCounts, *[st.integers(0, 3)] * 5), min_size=1, max_size=SPAN_COUNT),
    st.dictionaries(st.integers(0, SPAN_COUNT - 1), st.text(max_size=200)),
)
def test_the_attributes_have_the_counts_of_each_bar_and_its_reason(
    spans: list[SpanCounts], reasons: dict[int, str]
) -> None:
    svg = bars(spans, "text", reasons)
    texts = json.loads(attribute(svg, "data-reasons") or "[]")
    values = [counts for number, *counts in json.loads(attribute(svg, "data-bars")) for _ in range(number)]

    assert [(*value, 0, 0, 0, 0, 0)[:5] for value in values] == [tuple(counts) for counts in spans]
    assert all(len(value) < 6 or value[5] <= len(texts) for value in values)
    assert len(texts) <= MAX_REASONS
    assert all(len(text) <= MAX_REASON for text in texts)
    assert attribute(svg, "data-since") == str(round(SINCE.timestamp()))
    assert attribute(svg, "data-span") == "960"


def test_bars_that_all_differ_take_two_kilobytes_at_most() -> None:
    spans = [SpanCounts(number + 10, number % 7, number % 5, number % 3) for number in range(SPAN_COUNT)]
    svg = bars(spans, "text", {place: f"Expected status 200, got {place}." for place in range(SPAN_COUNT)})

    assert len(attribute(svg, "data-bars")) + len(attribute(svg, "data-reasons")) < 2000
    assert "Expected status 200, got 89." in attribute(svg, "data-reasons")  # the newest


def test_a_line_goes_from_left_to_right_below_its_largest_value() -> None:
    svg = sparkline([50.0, 100.0, 0.0], "24 h")
    assert 'd="M2 12L50 2L98 22"' in svg
    assert 'aria-label="response time in 24 h: 0 ms to 100 ms, last 0 ms"' in svg


def test_a_single_value_is_no_line() -> None:
    assert sparkline([50.0], "24 h") == ""
    assert sparkline([], "24 h") == ""


def test_values_of_zero_are_drawn_at_the_top_or_bottom_without_an_error() -> None:
    assert "M2 22L98 22" in sparkline([0.0, 0.0], "3 h")
    assert describe_line([80.0, 1200.0, 91.0], "7 d") == "response time in 7 d: 80 ms to 1.2 s, last 91 ms"
