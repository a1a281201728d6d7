"""Which rows a run gets, and that no run is lost from the sums."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.policies.execution import REPORT_EVERYTHING, Reporting
from jobs.runs import Outcome, Run, Trigger
from jobs.runs.outcomes import ReasonCode
from observability.sampling import SAMPLE_INTERVAL, Sampler
from tests.observability import runs

USUAL = Reporting()
START = datetime(2031, 1, 1, tzinfo=UTC)
ORDINARY = (Outcome.SUCCEEDED, Outcome.SKIPPED)


def run_at(seconds: float, outcome: Outcome = Outcome.SUCCEEDED, *, job: str = "checkout") -> Run:
    return runs.run(outcome, job=job, due_at=START + timedelta(seconds=seconds))


def test_the_first_ordinary_run_of_a_job_has_rows_so_that_it_is_observed_at_all() -> None:
    report = Sampler().make_report(run_at(0), USUAL)
    assert (report.events, report.availability, report.spans) == (1, 1, False)


def test_ordinary_runs_have_no_rows_until_one_stands_for_all_of_them() -> None:
    sampler = Sampler()
    weights = [sampler.make_report(run_at(60 * minute), USUAL).events for minute in range(17)]
    assert weights == [1] + [0] * 14 + [15, 0]


@pytest.mark.parametrize(
    "run",
    [
        run_at(1, Outcome.FAILED),
        run_at(1, Outcome.TIMED_OUT),
        run_at(1, Outcome.REJECTED),
        runs.degraded(),
        runs.run(attempts=(runs.failed_attempt(1), runs.good_attempt(2))),
        runs.run(trigger=Trigger.MANUAL),
    ],
    ids=["failed", "timed_out", "rejected", "degraded", "retried", "manual"],
)
def test_a_run_worth_a_read_has_all_of_its_rows(run: Run) -> None:
    sampler = Sampler()
    sampler.make_report(run_at(0), USUAL)
    report = sampler.make_report(run, USUAL)
    assert (report.events, report.availability, report.spans) == (1, 1, True)


def test_the_first_success_after_a_failure_has_rows_and_the_next_one_none() -> None:
    sampler = Sampler()
    weights = [
        sampler.make_report(run, USUAL).events
        for run in (run_at(0), run_at(60, Outcome.FAILED), run_at(120), run_at(180), run_at(240))
    ]
    assert weights == [1, 1, 1, 0, 0]


def test_with_all_each_run_has_one_row_that_stands_for_itself() -> None:
    sampler = Sampler()
    reports = [sampler.make_report(run_at(second), REPORT_EVERYTHING) for second in range(5)]
    assert {(each.events, each.availability, each.spans, each.metrics) for each in reports} == {(1, 1, True, "all")}


def test_with_none_nothing_has_rows() -> None:
    nothing = Reporting(events="none", availability="none", spans="none", metrics="none")
    assert all(Sampler().make_report(run, nothing).is_empty for run in (run_at(0), run_at(1, Outcome.FAILED)))


def test_signals_are_chosen_apart() -> None:
    sampler = Sampler()
    mixed = Reporting(events="all", availability="failures", spans="none", metrics="total")
    reports = [sampler.make_report(run_at(second), mixed) for second in range(3)]
    assert [(each.events, each.availability, each.spans) for each in reports] == [
        (1, 1, False),
        (1, 0, False),
        (1, 0, False),
    ]
    (rest,) = sampler.remaining_reports()
    assert (rest.events, rest.availability, rest.metrics) == (0, 2, "none")


def test_at_the_end_a_row_stands_for_the_rest_once() -> None:
    sampler = Sampler()
    for second in range(5):
        sampler.make_report(run_at(second), USUAL)
    assert [report.events for report in sampler.remaining_reports()] == [4]
    assert list(sampler.remaining_reports()) == []


def test_a_job_whose_clock_returns_is_not_reported_more_often() -> None:
    sampler = Sampler()
    weights = [sampler.make_report(run_at(second), USUAL).events for second in (3600, 0, 10, 20)]
    assert weights == [1, 0, 0, 0]


@given(
    st.lists(st.tuples(st.integers(0, 7200), st.sampled_from(list(Outcome)), st.sampled_from(["a", "b"])), max_size=60)
)
def test_no_run_is_lost_from_the_sums_by_job_and_outcome(happened: list[tuple[int, Outcome, str]]) -> None:
    sampler = Sampler()
    made = [run_at(seconds, outcome, job=job) for seconds, outcome, job in sorted(happened, key=lambda one: one[0])]
    reports = [sampler.make_report(run, USUAL) for run in made]
    reports += sampler.remaining_reports()
    for job in ("a", "b"):
        for outcome in Outcome:
            reported = sum(each.events for each in reports if (each.run.job, each.run.outcome) == (job, outcome))
            assert reported == sum((run.job, run.outcome) == (job, outcome) for run in made)


def test_a_backfill_stands_for_no_scheduled_run_and_ends_no_outage() -> None:
    sampler = Sampler()
    backfill = replace(run_at(3600), trigger=Trigger.BACKFILL)
    made = [run_at(0), run_at(60), backfill, run_at(61, Outcome.FAILED), backfill, run_at(62)]
    assert [sampler.make_report(run, USUAL).availability for run in made] == [1, 0, 1, 1, 0, 1]
    assert sorted(report.availability for report in sampler.remaining_reports()) == [1, 1]


def test_at_most_one_ordinary_row_in_each_quarter_of_an_hour() -> None:
    sampler = Sampler()
    day = range(0, 86_400, 10)
    rows = sum(bool(sampler.make_report(run_at(second), USUAL).events) for second in day)
    assert rows == timedelta(days=1) / SAMPLE_INTERVAL


def test_a_skipped_run_stands_for_no_unknown_one() -> None:
    sampler = Sampler()
    found = [runs.unknown(), run_at(60, Outcome.SKIPPED), runs.unknown()]
    assert [sampler.make_report(run, USUAL).events for run in found] == [1, 1, 0]
    assert [(report.run.reason, report.events) for report in sampler.remaining_reports()] == [(ReasonCode.UNKNOWN, 1)]
