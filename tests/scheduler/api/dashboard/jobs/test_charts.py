"""The geometry of the charts: axes, lines, the strip of states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from jobs.runs.states import JobStatus
from scheduler.api.dashboard.rendering.charts import (
    ChartLine,
    LineChart,
    StateSpan,
    TimeAxis,
    draw_line_chart,
    draw_state_strip,
    measure_axis,
    ratio_axis,
)
from scheduler.api.dashboard.rendering.formatting import milliseconds, percent

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
BERLIN = ZoneInfo("Europe/Berlin")


def axis(hours: float, zone: ZoneInfo | None = None, since: datetime = NOON) -> TimeAxis:
    return TimeAxis(since, since + hours * HOUR, zone or UTC)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("hours", "texts"),
    [
        (1, ["12:00", "12:10", "12:20", "12:30", "12:40", "12:50", "13:00"]),
        (24, ["12:00", "15:00", "18:00", "21:00", "26 Nov", "03:00", "06:00", "09:00", "12:00"]),
        (7 * 24, ["26 Nov", "27 Nov", "28 Nov", "29 Nov", "30 Nov", "1 Dec", "2 Dec"]),
    ],
)
def test_ticks_stand_at_full_times(hours: float, texts: list[str]) -> None:
    assert [tick.text for tick in axis(hours).ticks] == texts


def test_ticks_are_those_of_the_zone() -> None:
    assert [tick.text for tick in axis(24, BERLIN).ticks][:2] == ["15:00", "18:00"]
    assert axis(24, BERLIN).ticks[0].place == pytest.approx(100 * 2 / 24, abs=0.001)


def test_the_hour_that_a_change_of_the_clock_omits_has_no_tick() -> None:
    spring = axis(6, BERLIN, datetime(2026, 3, 28, 23, tzinfo=UTC))
    assert [tick.text for tick in spring.ticks] == ["29 Mar", "01:00", "03:00", "04:00", "05:00", "06:00", "07:00"]


def test_a_year_has_few_ticks() -> None:
    assert 3 <= len(axis(365 * 24).ticks) <= 8


@pytest.mark.parametrize(
    ("highest", "texts"),
    [
        (None, ["0 ms", "0.5 ms", "1 ms"]),
        (7.0, ["0 ms", "2 ms", "4 ms", "6 ms", "8 ms"]),
        (431.0, ["0 ms", "200 ms", "400 ms", "600 ms"]),
        (5000.0, ["0 ms", "2 s", "4 s", "6 s"]),
    ],
)
def test_values_have_round_ticks(highest: float | None, texts: list[str]) -> None:
    assert [tick.text for tick in measure_axis(highest, milliseconds).ticks] == texts


@pytest.mark.parametrize(("lowest", "low"), [(None, 0.999), (1.0, 0.999), (0.97, 0.95), (0.2, 0.0)])
def test_a_share_is_drawn_from_a_round_value_on(lowest: float | None, low: float) -> None:
    assert ratio_axis(lowest, percent).low == low


def chart(*values: float | None) -> LineChart:
    starts = [NOON + number * HOUR for number in range(len(values))]
    axes = axis(len(values)), measure_axis(max((one for one in values if one), default=None), milliseconds)
    return draw_line_chart("Response time", starts, HOUR, [ChartLine("p50", "first", values)], axes)


def test_a_line_is_interrupted_where_there_is_no_data() -> None:
    (line,) = chart(10.0, 20.0, None, 40.0).lines
    assert line.path == "M125 750L375 500M871 0L879 0"
    assert line.area == "M125 1000L125 750L375 500L375 1000ZM871 1000L871 0L879 0L879 1000Z"
    assert line.latest == "40 ms"


def test_the_label_has_what_the_chart_shows() -> None:
    shown = chart(10.0, 20.0, None, 40.0)
    assert shown.label == ("Response time, 25 Nov 12:00 to 25 Nov 16:00: p50 from 10 ms to 40 ms, latest 40 ms.")
    assert [span.text for span in shown.spans] == [
        "25 Nov 12:00: p50 10 ms",
        "25 Nov 13:00: p50 20 ms",
        "25 Nov 15:00: p50 40 ms",
    ]


def test_a_chart_without_data_reports_it() -> None:
    shown = chart(None, None)
    assert shown.is_empty
    assert shown.label.endswith("no data.")


def test_the_strip_shows_a_short_outage_and_what_is_not_known() -> None:
    down = NOON + 12 * HOUR
    spans = [
        StateSpan(None, NOON, NOON + 6 * HOUR),
        StateSpan(JobStatus.UP, NOON + 6 * HOUR, down),
        StateSpan(JobStatus.DOWN, down, down + timedelta(seconds=5), "refused"),
        StateSpan(JobStatus.UP, down + timedelta(seconds=5), NOON + 24 * HOUR),
    ]
    parts = draw_state_strip(spans, axis(24), "").parts
    assert [(part.place, part.state) for part in parts] == [(0, ""), (25, "up"), (50, "down"), (50.25, "up")]
    assert [part.width for part in parts] == [25, 25, 0.25, 49.75]
    assert parts[2].text == "down, 26 Nov 00:00 to 26 Nov 00:00: refused"
