"""What statistics and rules see of a run whose process lacked CPU."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.alerting.facts import sample_of_run
from jobs.runs import Outcome, Run
from observability.exporters.measurements import measure_run
from observability.names import metrics as names
from scheduler.features.statistics.sums import sum_runs_of_period
from scheduler.stores.port import Row
from scheduler.stores.runs.codec import decode_record, encode_finished
from scheduler.stores.runs.keys import RunKey
from scheduler.stores.runs.rollups.hours import HourCounts, uptime_sample
from tests.scheduler.stores.samples import at, run_of, ticket


def starved_run(is_starved: bool = True, outcome: Outcome = Outcome.SUCCEEDED) -> Run:
    run = run_of(ticket("a", 1), outcome)
    return replace(run, attempts=tuple(replace(attempt, starved=is_starved) for attempt in run.attempts))


def test_the_mark_is_stored() -> None:
    run = starved_run()
    key = RunKey.for_ticket(run)
    record = decode_record(Row(key.shard, key.run_key, encode_finished(run), "1"))

    assert record.run is not None
    assert record.run.starved


def test_a_row_without_the_mark_has_no_key_for_it() -> None:
    assert "starved" not in encode_finished(starved_run(False))


@pytest.mark.parametrize(("is_starved", "times"), [(True, 0), (False, 1)])
def test_rollups_count_the_run_without_its_response_time(is_starved: bool, times: int) -> None:
    counts = HourCounts()
    counts.add_run(starved_run(is_starved))
    tally = counts.tally

    assert (sum(tally.outcomes), tally.attempts, tally.duration.total) == (1, 1, 1)
    assert tally.response_time.total == times


@pytest.mark.parametrize(("is_starved", "times"), [(True, 0), (False, 1)])
def test_statistics_of_runs_count_as_rollups_do(is_starved: bool, times: int) -> None:
    series = sum_runs_of_period([starved_run(is_starved)], at(0), at(60))

    assert sum(point.tally.response_time.total for point in series.points) == times
    assert sum(point.tally.attempts for point in series.points) == 1


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED])
def test_uptime_counts_the_run(outcome: Outcome) -> None:
    starved, usual = uptime_sample(starved_run(outcome=outcome)), uptime_sample(starved_run(False, outcome))

    assert starved is not None
    assert usual is not None
    assert (starved.mark, starved.ms) == (usual.mark, None)


def test_rules_see_a_run_without_a_response_time() -> None:
    sample = sample_of_run(starved_run())

    assert sample is not None
    assert (sample.is_good, sample.response_ms) == (True, None)


@pytest.mark.parametrize("is_starved", [True, False])
def test_metrics_have_response_times_of_other_runs_only(is_starved: bool) -> None:
    measured = {metric for metric, _ in measure_run(starved_run(is_starved))}

    assert (names.RESPONSE_TIMES in measured) is not is_starved
    assert names.ATTEMPT_COUNTS in measured
