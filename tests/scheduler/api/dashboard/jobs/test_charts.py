"""The geometry of the charts: axes, lines, columns, limits, values that are cut off, the strip of states."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs.states import JobStatus
from scheduler.api.dashboard.rendering.axes import TimeAxis, fit_axis, measure_axis, ratio_axis
from scheduler.api.dashboard.rendering.charts import (
    GHOST,
    Chart,
    ChartKind,
    ChartLimit,
    ChartLine,
    ChartSpec,
    draw_chart,
    place_band,
)
from scheduler.api.dashboard.rendering.formatting import milliseconds, percent
from scheduler.api.dashboard.rendering.state_strip import StateSpan, draw_state_strip

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


def test_counts_have_whole_ticks() -> None:
    assert measure_axis(2.0, str, is_count=True).values == [0.0, 1.0, 2.0]


@pytest.mark.parametrize(("lowest", "low"), [(None, 0.999), (1.0, 0.999), (0.97, 0.95), (0.2, 0.0)])
def test_a_share_is_drawn_from_a_round_value_on(lowest: float | None, low: float) -> None:
    assert ratio_axis(lowest, percent).low == low


WEEK = [100.0 + number % 7 for number in range(167)]


@pytest.mark.parametrize(
    ("values", "limits", "high"),
    [
        pytest.param([*WEEK, 30_000.0], (), 150.0, id="one outlier of a week is cut off"),
        pytest.param([*WEEK, 250.0], (), 300.0, id="a peak is not"),
        pytest.param([*WEEK, *[30_000.0] * 20], (), 30_000.0, id="many high values are not outliers"),
        pytest.param([10.0, 10.0, 3000.0], (), 3000.0, id="of few values, all are shown"),
        pytest.param(WEEK, (250.0,), 300.0, id="a limit near the values is shown"),
        pytest.param(WEEK, (30_000.0,), 150.0, id="a limit far above is not"),
        pytest.param([*[0.0] * 20, 5.0], (), 6.0, id="without other values, the outlier is the axis"),
    ],
)
def test_outliers_do_not_flatten_the_others(values: list[float], limits: tuple[float, ...], high: float) -> None:
    assert fit_axis(values, milliseconds, limits).high == high


def spec_of(*values: float | None, kind: ChartKind = ChartKind.LINES, hours: int | None = None) -> ChartSpec:
    starts = [NOON + number * HOUR for number in range(len(values))]
    axes = axis(hours or len(values)), fit_axis(values, milliseconds)
    lines = [ChartLine("p50", "first", values, 25.0)]
    return ChartSpec("time", "Response time", starts, HOUR, lines, axes, kind, "ms")


def chart(*values: float | None, kind: ChartKind = ChartKind.LINES) -> Chart:
    return draw_chart(spec_of(*values, kind=kind))


def test_a_line_is_interrupted_where_there_is_no_data() -> None:
    (line,) = chart(10.0, 20.0, None, None, 40.0, 40.0).lines
    assert line.path == "M83.33 750L250 500M750 0L916.67 0"
    assert line.area == "M83.33 750L250 500L250 1000L83.33 1000ZM750 0L916.67 0L916.67 1000L750 1000Z"
    assert line.total == "25 ms"


def test_a_line_of_rare_runs_is_whole() -> None:
    """A job can run less often than spans begin."""
    (line,) = chart(*[10.0, None, None] * 5).lines
    assert line.path.count("M") == 1


def test_a_single_point_is_visible() -> None:
    (line,) = chart(None, 40.0, None, None).lines
    assert line.path == "M371 0L379 0"


def test_the_span_that_has_not_ended_is_marked() -> None:
    now = NOON + 3.5 * HOUR
    lines = draw_chart(replace(spec_of(10.0, 20.0, 30.0, 40.0), now=now))
    columns = draw_chart(replace(spec_of(10.0, 20.0, 30.0, 40.0, kind=ChartKind.COLUMNS), now=now))

    assert [line.path.count("L") + 1 for line in lines.lines] == [3]
    assert lines.lines[0].open_path == "M625 250L812.5 0"
    assert columns.lines[0].path.count("M") == 3
    assert columns.lines[0].open_path.count("M") == 1
    assert [row.is_complete for row in lines.rows] == [True, True, True, False]
    assert json.loads(lines.points)[-1][1:3] == ["25 Nov 15:00, so far", "p50 40 ms"]


def test_the_label_has_what_the_chart_shows() -> None:
    shown = draw_chart(replace(spec_of(10.0, 20.0, None, 40.0), limits=(ChartLimit(30.0, "slow: above 30 ms"),)))
    assert shown.label == (
        "Response time, 25 Nov 12:00 to 25 Nov 16:00: p50 from 10 ms to 40 ms, latest 40 ms. Limit: slow: above 30 ms."
    )
    assert [point[1:3] for point in json.loads(shown.points)] == [
        ["25 Nov 12:00", "p50 10 ms"],
        ["25 Nov 13:00", "p50 20 ms"],
        ["25 Nov 14:00", "no data"],
        ["25 Nov 15:00", "p50 40 ms"],
    ]


def test_another_period_is_no_part_of_the_numbers() -> None:
    spec = spec_of(10.0, 20.0)
    both = draw_chart(replace(spec, lines=[*spec.lines, ChartLine("p50 1 d before", GHOST, [5.0, None])]))
    assert [row.values for row in both.rows] == [[10.0], [20.0]]
    assert json.loads(both.points)[0][2] == "p50 10 ms, p50 1 d before 5 ms"


def test_a_chart_without_data_reports_it() -> None:
    shown = chart(None, None)
    assert shown.is_empty
    assert shown.label.endswith("no data.")


def test_a_share_shows_what_is_missing() -> None:
    axes = axis(2), ratio_axis(0.5, percent)
    lines = [ChartLine("success", "up", [1.0, 0.75])]
    (line,) = draw_chart(ChartSpec("s", "Success", [NOON, NOON + HOUR], HOUR, lines, axes, ChartKind.SHARE)).lines
    assert line.path == "M40 1000V0H460V1000ZM540 1000V500H960V1000Z"
    assert line.area == "M540 500V0H960V500Z"


def test_texts_of_limits_do_not_overlap() -> None:
    limits = [ChartLimit(20.0, "a"), ChartLimit(31.0, "b"), ChartLimit(30.0, "c"), ChartLimit(30.0, "d")]
    placed = draw_chart(replace(spec_of(10.0, 40.0), limits=[*limits, ChartLimit(9000.0, "far")])).limits
    assert [(limit.place, limit.text) for limit in placed] == [(22.5, "b, c, d"), (25.0, ""), (50.0, "a")]


def test_values_that_are_cut_off_are_marked_once_for_neighbours() -> None:
    shown = chart(*WEEK[:50], 30_000.0, 20_000.0, *WEEK[:50])
    assert [mark.text for mark in shown.clipped] == ["30 s", ""]
    assert [round(mark.place) for mark in shown.clipped] == [50, 50]
    assert json.loads(shown.points)[50][2] == "p50 30 s"


VALUES = st.lists(st.none() | st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=60)


@given(VALUES, VALUES, st.sampled_from(ChartKind), st.floats(0, 60))
def test_whatever_the_values_are_everything_drawn_is_within_the_box(
    values: list[float | None], more: list[float | None], kind: ChartKind, hours: float
) -> None:
    second = [more[number % len(more)] for number in range(len(values))]
    spec = spec_of(*values, kind=kind)
    second_line = ChartLine("p95", "second", second)
    usual = [None if value is None else (value / 2, value * 2) for value in second]
    shown = draw_chart(replace(spec, lines=[*spec.lines, second_line], now=NOON + hours * HOUR, usual=usual))

    for path in [shown.usual, *(each for line in shown.lines for each in (line.path, line.open_path, line.area))]:
        assert all(0 <= float(number) <= 1000 for number in re.findall(r"[-+.\de]+", path))
    for line in shown.lines if kind is ChartKind.LINES else ():
        for part in line.path.split("M")[1:]:
            xs = [float(point.split()[0]) for point in part.split("L")]
            assert all(left < right for left, right in pairwise(xs))
    assert all(0 <= mark.place <= 100 for mark in (*shown.clipped, *shown.limits))
    assert len(json.loads(shown.points)) == len(values)
    assert len(shown.rows) == sum(
        one is not None or other is not None for one, other in zip(values, second, strict=True)
    )


@given(st.lists(st.floats(0, 1e9, allow_nan=False), min_size=1, max_size=200))
def test_a_higher_value_is_never_drawn_lower_and_few_are_cut_off(values: list[float]) -> None:
    fitted = fit_axis(values, milliseconds)
    places = [fitted.place(value) for value in sorted(values)]
    assert all(left >= right for left, right in pairwise(places))
    assert sum(value > fitted.high * (1 + 1e-9) for value in values) <= max(1, len(values) // 25)


@given(st.floats(-50, 50), st.floats(0, 100))
def test_a_band_is_visible_and_within_the_axis(begin: float, length: float) -> None:
    start = NOON + begin * HOUR
    band = place_band(start, start + length * HOUR, "incident", "", axis(24))
    assert band.width >= 0.4
    assert band.place >= 0
    assert band.place + band.width <= 100.001


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
