"""The proposed numbers of `slower_than_usual` open at most so often in the history of the job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.alerting.comparison import HOUR, ResponseHours
from jobs.alerting.conditions.slower_than_usual import SlowerThanUsualCondition
from jobs.alerting.rule import AlertRule
from jobs.model_base import FILE_CONTEXT
from jobs.runs.histogram import Histogram
from scheduler.features.backtest.usual_advice import UsualAdvice, advise_usual, count_openings, list_hour_ends

UNTIL = datetime(2026, 4, 27, tzinfo=UTC)


def history(seed: int, days: int, *, level: float = 200, runs: int = 60, slow_share: float = 0.0) -> ResponseHours:
    random, hours = Random(seed), {}
    for number in range(days * 24):
        slow = 3.0 if random.random() < slow_share else 1.0
        times = hours[UNTIL - (number + 1) * HOUR] = Histogram()
        for _ in range(runs):
            times.add(level * slow * random.lognormvariate(0, 0.3))
    return ResponseHours({begin: each.encode() for begin, each in hours.items()}, min(hours, default=None))


def advise(hours: ResponseHours, days: int = 7, max_openings: int = 2) -> UsualAdvice:
    return advise_usual(hours, list_hour_ends(UNTIL - timedelta(days=days), UNTIL), max_openings)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 5), st.sampled_from([0.0, 0.02, 0.1]))
def test_the_proposed_rule_opens_at_most_so_often(seed: int, max_openings: int, slow_share: float) -> None:
    hours = history(seed, 43, slow_share=slow_share)
    found = advise(hours, max_openings=max_openings)
    if found.condition is None:
        assert "would have opened more than" in found.summary
        return
    written = AlertRule.model_validate({"when": found.fields}, context=FILE_CONTEXT).when
    assert isinstance(written, SlowerThanUsualCondition)
    assert written == found.condition
    ends = list_hour_ends(UNTIL - timedelta(days=7), UNTIL)
    assert count_openings(written, hours, ends) == found.openings <= max_openings


def test_a_steady_job_gets_the_smallest_ratio_and_a_floor_of_its_level() -> None:
    assert advise(history(1, 43)).fields == {"slower_than_usual": "25%", "at_least": "50ms"}
    assert advise(history(1, 43, level=8)).fields == {"slower_than_usual": "25%", "at_least": "25ms"}


def test_a_job_that_runs_rarely_is_compared_by_longer_periods() -> None:
    fields = advise(history(1, 43, runs=4)).fields
    assert fields is not None
    assert fields["window"] == "12h"


@pytest.mark.parametrize("days", [0, 5, 28])
def test_nothing_is_known_in_the_first_four_weeks(days: int) -> None:
    found = advise(history(1, days))
    assert (found.fields, found.summary) == (
        None,
        "slower than usual: not known, fewer than four weeks of hours with enough responses",
    )
