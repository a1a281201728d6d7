"""What a job asks of those that it depends on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.definition.dependencies import Dependency, describe_wait, format_dependencies
from jobs.problems import validation_problems
from jobs.runs import Outcome, Run, Trigger

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def job(*depends_on: Any, **more: Any) -> JobDefinition:
    written = {"name": "report", "check": {"url": "http://127.0.0.1/"}, "depends_on": list(depends_on)}
    return JobDefinition.model_validate(written | more)


def problem(*depends_on: Any, **more: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        job(*depends_on, **more)
    return "\n".join(map(str, validation_problems(caught.value, JobDefinition)))


def run(outcome: Outcome, ended: float = 0.0, message: str = "") -> Run:
    """One that ended so many seconds ago."""
    at = NOW - timedelta(seconds=ended)
    return Run("database@x", "database", Trigger.SCHEDULE, outcome, at, at, at, message=message)


ACQUIRED = {
    "succeeded": {Outcome.SUCCEEDED},
    "failed": {Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED},
    "finished": {Outcome.SUCCEEDED, Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED},
}


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("condition", ACQUIRED)
def test_each_condition_takes_its_outcomes(condition: str, outcome: Outcome) -> None:
    dependency = Dependency.model_validate({"job": "database", "condition": condition})

    assert (dependency.explain_unmet(run(outcome), NOW) is None) is (outcome in ACQUIRED[condition])


def test_a_name_alone_requests_success() -> None:
    assert job("database").depends_on == (Dependency(job="database", condition="succeeded", within=None, wait=0.0),)


def test_a_mapping_reports_more() -> None:
    written = {"job": "database", "condition": "failed", "within": "5m", "wait": "2m"}

    (dependency,) = job(written, schedule="@hourly").depends_on

    assert (dependency.condition, dependency.within, dependency.wait) == ("failed", 300.0, 120.0)


def test_a_definition_is_read_back_as_it_was_written() -> None:
    defined = job("database", {"job": "cache", "within": "5m"})

    assert JobDefinition.model_validate_json(defined.model_dump_json(by_alias=True)) == defined


def test_a_run_that_ended_too_long_ago_does_not_count() -> None:
    dependency = Dependency(job="database", within=300.0)

    assert dependency.explain_unmet(run(Outcome.SUCCEEDED, ended=300.0), NOW) is None
    assert dependency.explain_unmet(run(Outcome.SUCCEEDED, ended=420.0), NOW) == (
        "dependency run database@x ended 7m ago (within: 5m)"
    )
    assert dependency.explain_unmet(run(Outcome.SUCCEEDED, ended=420.0), NOW, ignore_age=True) is None


def test_the_reason_names_the_run_and_how_it_ended() -> None:
    assert Dependency(job="database").explain_unmet(run(Outcome.TIMED_OUT), NOW) == (
        "dependency run database@x timed out (condition: succeeded)"
    )
    assert Dependency(job="database").explain_unmet(None, NOW) == "dependency database has not run yet"


def test_why_a_run_was_skipped_is_handed_on() -> None:
    skipped = run(Outcome.SKIPPED, message="the job is paused until it is resumed")

    assert Dependency(job="database", condition="finished").explain_unmet(skipped, NOW) == (
        "dependency run database@x was skipped: the job is paused until it is resumed"
    )


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9._-]{0,8}[a-z0-9])?", fullmatch=True)


@given(st.lists(NAMES, min_size=1, max_size=4, unique=True), st.data())
def test_a_job_says_for_which_job_it_waits(names: list[str], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(names))
    outcome = data.draw(st.none() | st.sampled_from([Outcome.FAILED, Outcome.SKIPPED, Outcome.CANCELLED]))
    parent = (
        None
        if outcome is None
        else replace(run(outcome, message=f"dependency run {names[0]}@x failed"), id=f"{name}@x")
    )
    dependencies = [Dependency(job=each) for each in names]
    reason = Dependency(job=name).explain_unmet(parent, NOW)
    assert reason is not None
    assert describe_wait(dependencies, reason) == f"waiting for {name}"


def test_a_wait_whose_reason_names_no_dependency_names_all() -> None:
    dependencies = [Dependency(job="database"), Dependency(job="cache")]
    assert describe_wait(dependencies, "the run x, on which it depends, failed") == "waiting for database, cache"
    assert describe_wait([], "dependency run database@x failed") == "waiting for another job"


def test_a_reason_that_is_handed_on_and_on_ends_somewhere() -> None:
    reason = Dependency(job="database").explain_unmet(run(Outcome.SKIPPED, message="long " * 200), NOW)

    assert reason is not None
    assert len(reason) == 400


def test_dependencies_as_a_text() -> None:
    depends_on = job("a", {"job": "b", "condition": "failed"}, {"job": "c", "within": "90s"}).depends_on

    assert format_dependencies(depends_on) == "a, b (failed), c (within 1m30s)"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"job": "database", "condition": "suceeded"}, "depends_on[0].condition: 'suceeded' is not allowed, did you"),
        ({"job": "database", "withing": "5m"}, "depends_on[0].withing: unknown key, did you mean within?"),
        ({"condition": "failed"}, "depends_on[0].job: is missing; the name of another job"),
        ({"job": "database", "within": 5}, "depends_on[0].within: 5 has no unit"),
        ({"job": "database", "within": "0s"}, "depends_on[0].within: "),
        (7, "depends_on[0]: 7 is not a mapping of keys to values"),
    ],
)
def test_what_is_wrong_with_an_entry_is_reported_at_its_place(entry: Any, expected: str) -> None:
    assert problem(entry).startswith(expected)


def test_a_job_is_named_once() -> None:
    assert problem("database", "cache", {"job": "database", "condition": "failed"}) == (
        "depends_on: 'database' is listed twice: combine its conditions in one entry"
    )


def test_only_a_scheduled_job_waits() -> None:
    entry = {"job": "database", "wait": "2m"}

    assert job(entry, schedule="every 10s").depends_on[0].wait == 120.0
    assert problem(entry).startswith("depends_on: wait (database) requires a schedule")


def test_a_wrong_schedule_is_reported_alone() -> None:
    assert "wait" not in problem({"job": "database", "wait": "2m"}, schedule="nonsense")


def test_jobs_that_depend_on_the_same_job_share_what_is_reported_of_it() -> None:
    """A thousand jobs with fifty of them each would take fifty megabytes more."""
    check = {"kind": "http", "url": "http://a.test"}
    one, other = (
        JobDefinition.model_validate({"name": name, "check": check, "depends_on": ["database"]}) for name in "ab"
    )

    assert one.depends_on[0] is other.depends_on[0]
