"""Changes of the level of response times: found where they are planted, and not where nothing is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from bench.trends import BERLIN, evaluate, make_history
from jobs.runs.histogram import Histogram
from jobs.trends import find_level_changes

START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def series(*levels: tuple[float, int], runs: int = 20) -> dict[datetime, list[int]]:
    """So many hours of each response time."""
    hours: dict[datetime, list[int]] = {}
    for milliseconds, count in levels:
        histogram = Histogram()
        for number in range(runs):
            histogram.add(milliseconds * (1 + number / 100))
        for _ in range(count):
            hours[START + len(hours) * HOUR] = histogram.encode()
    return hours


def test_seeded_changes_of_30_percent_are_found_within_an_hour_and_few_others() -> None:
    found = evaluate(range(30))
    assert found.large > 7
    assert found.near >= 0.9 * found.large
    assert found.false <= 3


def test_both_levels_are_described() -> None:
    (change,) = find_level_changes(series((180, 200), (320, 100)))
    assert change.at == START + 200 * HOUR
    assert change.ratio == pytest.approx(320 / 180, rel=0.1)
    assert (change.before.total, change.after.total) == (4000, 2000)


def test_two_changes_are_found_the_oldest_first() -> None:
    found = find_level_changes(series((100, 150), (200, 150), (120, 150)))
    assert [each.at - START for each in found] == [150 * HOUR, 300 * HOUR]
    assert [each.ratio > 1 for each in found] == [True, False]


@pytest.mark.parametrize(
    "hours",
    [
        {},
        series((100, 10), (300, 10)),
        series((100, 400)),
        series((100, 200), (300, 6), (100, 200)),
        series((100, 200), (108, 200)),
        series((100, 200), (300, 200), runs=4),
        series(*((100 * 1.003**number, 1) for number in range(400))),
    ],
    ids=["nothing", "short", "even", "six slow hours", "8 %", "few runs", "a drift"],
)
def test_what_is_no_change_of_the_level_is_not_reported(hours: dict[datetime, list[int]]) -> None:
    assert find_level_changes(hours) == []


@pytest.mark.parametrize("seed", range(4))
def test_changes_are_ordered_apart_from_each_other_and_divide_the_runs(seed: int) -> None:
    history = make_history(seed)
    found = find_level_changes(history.hours, BERLIN)
    assert all(later.at - each.at > HOUR for each, later in pairwise(found))
    for each in found:
        assert each.at in history.hours
        assert each.before.total
        assert each.after.total
