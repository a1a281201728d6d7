"""Bars and sparklines: what they draw, and what they tell those who do not see them."""

from __future__ import annotations

import re

from scheduler.api.dashboard.rendering.templates import bars, describe_line, sparkline
from scheduler.features.overview.timelines import NO_COUNTS, SpanCounts


def paths(svg: str) -> dict[str, str]:
    return dict(re.findall(r'<path class="bar-(\w+)" d="([^"]*)"', svg))


def test_each_result_has_its_own_height() -> None:
    spans = [NO_COUNTS, SpanCounts(5), SpanCounts(4, degraded=1), SpanCounts(down=5), SpanCounts(other=1)]
    drawn = paths(bars(spans, "text"))
    assert drawn == {
        "none": "M1 23v1",
        "up": "M4 10v14",
        "degraded": "M7 10v6M7 18v6",
        "down": "M10 0v24",
        "other": "M13 20v4",
    }


def test_a_span_with_some_failures_shows_their_share() -> None:
    drawn = paths(bars([SpanCounts(succeeded=1, down=1), SpanCounts(succeeded=999, down=1)], "text"))
    assert drawn["down"] == "M1 0v12M4 0v6"
    assert drawn["up"] == "M1 13v11M4 7v17"


def test_the_text_of_bars_is_escaped() -> None:
    svg = bars([], '"><script>')
    assert 'aria-label="&#34;&gt;&lt;script&gt;"' in svg
    assert "<script>" not in svg


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
