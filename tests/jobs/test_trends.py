"""Changes of the level of response times and success rates: found where they are planted, and not where nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from math import log

import pytest

from bench.trends import BERLIN, evaluate, evaluate_shares, make_history
from jobs.runs.histogram import Histogram
from jobs.trends import FAILED_SHARES, find_level_changes, level_of_lateness, level_of_times

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def encode(milliseconds: float, runs: int = 20) -> list[int]:
    histogram = Histogram()
    for number in range(runs):
        histogram.add(milliseconds * (1 + number / 100))
    return histogram.encode()


def series(*levels: tuple[float, int]) -> dict[datetime, float]:
    """So many hours of each response time."""
    values = [level_of_times(encode(milliseconds)) for milliseconds, count in levels for _ in range(count)]
    return {START + number * HOUR: value for number, value in enumerate(values) if value is not None}


def shares(*levels: tuple[float, int]) -> dict[datetime, float]:
    """So many hours of each share of failed runs."""
    values = [share for share, count in levels for _ in range(count)]
    return {START + number * HOUR: value for number, value in enumerate(values)}


def test_seeded_changes_of_30_percent_are_found_within_an_hour_and_few_others() -> None:
    found = evaluate(range(30))
    assert found.large > 7
    assert found.near >= 0.9 * found.large
    assert found.false <= 3


def test_both_levels_are_described() -> None:
    (change,) = find_level_changes(series((180, 200), (320, 100)))
    assert change.at == START + 200 * HOUR
    assert change.difference == pytest.approx(log(320 / 180), abs=0.1)
    assert (change.since, change.until) == (START, START + 300 * HOUR)


def test_two_changes_are_found_the_oldest_first() -> None:
    found = find_level_changes(series((100, 150), (200, 150), (120, 150)))
    assert [each.at - START for each in found] == [150 * HOUR, 300 * HOUR]
    assert [each.difference > 0 for each in found] == [True, False]
    assert [each.since for each in found] == [START, found[0].at]
    assert [each.until for each in found] == [found[1].at, START + 450 * HOUR]


def test_a_change_of_the_success_rate_is_found_as_the_difference_of_failed_shares() -> None:
    (change,) = find_level_changes(shares((0.0, 200), (0.05, 100)), scale=FAILED_SHARES)
    assert change.at == START + 200 * HOUR
    assert change.difference == pytest.approx(0.05)


def test_seeded_changes_of_the_success_rate_are_found_within_a_day_and_few_others() -> None:
    found = evaluate_shares(range(30))
    assert found.large > 7
    assert found.near >= 0.8 * found.large
    assert found.false <= 3


@pytest.mark.parametrize(
    "hours",
    [
        shares((0.0, 400)),
        shares((0.0, 200), (1.0, 3), (0.0, 200)),
        shares((0.0, 200), (0.003, 200)),
        shares(*((0.1 * (number % 24 == 3), 1) for number in range(400))),
    ],
    ids=["no failures", "an outage", "0.3 points", "each night"],
)
def test_what_is_no_change_of_the_success_rate_is_not_reported(hours: dict[datetime, float]) -> None:
    assert find_level_changes(hours, scale=FAILED_SHARES) == []


def test_an_hour_with_few_runs_has_no_level() -> None:
    assert level_of_times(encode(100, runs=4)) is None
    assert level_of_times(encode(100, runs=5)) is not None


def test_milliseconds_of_lateness_are_no_difference_but_seconds_are() -> None:
    prompt, usual, late = (level_of_lateness(encode(each)) or 0.0 for each in (5, 50, 5000))
    assert usual - prompt < 0.1
    assert late - usual > 1


@pytest.mark.parametrize(
    "hours",
    [
        {},
        series((100, 10), (300, 10)),
        series((100, 400)),
        series((100, 200), (300, 6), (100, 200)),
        series((100, 200), (108, 200)),
        series(*((100 * 1.003**number, 1) for number in range(400))),
    ],
    ids=["nothing", "short", "even", "six slow hours", "8 %", "a drift"],
)
def test_what_is_no_change_of_the_level_is_not_reported(hours: dict[datetime, float]) -> None:
    assert find_level_changes(hours) == []


@pytest.mark.parametrize("seed", range(4))
def test_changes_are_ordered_apart_from_each_other_and_divide_the_runs(seed: int) -> None:
    history = make_history(seed)
    found = find_level_changes(history.levels, BERLIN)
    assert all(later.at - each.at > HOUR for each, later in pairwise(found))
    for each in found:
        assert each.at in history.hours
        assert each.since < each.at < each.until
