"""The buckets of deadlines find the jobs that a scan of all jobs finds."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.alerting.rule import CompiledRules
from jobs.definition import JobDefinition
from scheduler.alerting.evaluation.silent_jobs import SilentJobs
from tests.jobs.alerting.alert_samples import START, rule_of
from tests.scheduler.fakes import entry

RULES = CompiledRules([rule_of(when="silent")])
INTERVALS = {"a": "30s", "b": "2m", "c": "10m"}
JOBS = [entry(name, f"every {interval}", timeout={"run": "10s"}) for name, interval in INTERVALS.items()]
STEPS = st.lists(
    st.tuples(st.sampled_from(["run", "pause", "replace", "wait"]), st.sampled_from("abc"), st.integers(1, 400)),
    max_size=30,
)


def defined() -> list[tuple[JobDefinition, CompiledRules]]:
    return [(each.job, RULES) for each in JOBS]


@settings(max_examples=60)
@given(STEPS)
def test_it_finds_what_a_scan_of_all_jobs_finds(steps: list[tuple[str, str, int]]) -> None:
    newest: dict[str, datetime] = {}
    silent, now = SilentJobs(newest.get, START), START
    silent.replace_jobs(defined(), now)
    silent.record_read("abc")
    for kind, job, seconds in steps:
        now += timedelta(seconds=seconds)
        if kind == "run":
            newest[job] = now
        elif kind == "pause":
            silent.restart(job, now)
        elif kind == "replace":
            silent.replace_jobs(defined(), now)
        found = silent.pop_overdue(now, 10)
        for each in found:
            silent.push(each, now)
        assert sorted(found) == [each for each in "abc" if silent.is_overdue(each, now)]


def test_those_over_the_limit_follow() -> None:
    silent = SilentJobs({}.get, START)
    silent.replace_jobs(defined(), START)
    later = START + timedelta(hours=1)
    found = silent.pop_overdue(later, 2)
    assert len(found) == 2
    assert len(silent.pop_overdue(later, 2)) == 1
    assert silent.pop_overdue(later, 2) == []
