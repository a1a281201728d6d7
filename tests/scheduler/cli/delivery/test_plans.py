"""Plans of job files, their load, and the documents by which their targets and secrets are reviewed. Pure."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from syrupy.assertion import SnapshotAssertion

from config.job_files.job_set import JobSet
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry
from jobs.problems import Problem
from scheduler.features.delivery.job_files import compare_sections, plan_files, select_jobs, write_files
from scheduler.features.delivery.plan_report import PlanReport, compute_load_change, write_plan
from scheduler.features.delivery.planning import find_drift
from scheduler.features.delivery.port import (
    MAX_DOCUMENT,
    AlertMessage,
    AlertReplay,
    RecordedChange,
    RunningJob,
    list_review_documents,
)
from scheduler.features.forecast.load import RunDuration
from scheduler.features.jobs.definitions import JobFileFormat
from scheduler.features.stored_jobs.sets import SetReview

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOSTILE = "`|<b>@team"


def job(name: str, **more: Any) -> JobDefinition:
    fields = {"schedule": "every 1m", "check": {"url": "https://shop.example/health"}, **more}
    return JobDefinition.model_validate({"name": name, **fields})


def running(*jobs: JobDefinition, owner: str | None = None, origin: str = "jobs/shop.yaml:3") -> list[RunningJob]:
    return [RunningJob(each, origin, owner) for each in jobs]


def test_added_changed_removed_and_unchanged_jobs() -> None:
    before = running(job("same"), job("old"), job("moved"))
    files = {each.name: each for each in (job("same"), job("new"), job("moved", schedule="every 30s"))}

    plan = plan_files(before, files, NOW)

    assert [each.name for each in plan.added] == ["new"]
    assert [each.name for each in plan.removed] == ["old"]
    assert (plan.unchanged, plan.conflicts, plan.id, plan.owner) == (1, {}, "", "")
    (moved,) = plan.changed
    assert [(each.path, each.before, each.after) for each in moved.fields] == [("schedule.every", "1m", "30s")]
    assert (len(moved.next_before), len(moved.next_after)) == (10, 10)


@pytest.mark.parametrize(("owner", "holder"), [("reports", "of the set reports"), ("", "that was made by hand")])
def test_a_file_that_would_replace_a_stored_job_is_a_conflict(owner: str, holder: str) -> None:
    plan = plan_files(running(job("a"), owner=owner), {"a": job("a")}, NOW)

    assert holder in plan.conflicts["a"]
    assert not plan.added


def test_sections_are_compared_by_entry_and_field() -> None:
    def files(**parts: Any) -> JobSet:
        entries = {
            part: tuple(DefinedEntry(name, value, "x.yaml:1") for name, value in some.items())
            for part, some in parts.items()
        }
        return JobSet(alerting=AlertingDefinitions(entries))

    one, other = (
        JobDefinition.model_validate({"name": "n", "check": {"url": url}}) for url in ("https://a/", "https://b/")
    )
    before = files(channels={"same": one, "changed": one, "old": one}, objectives={"shop": one}, rules={"": one})
    after = files(channels={"same": one, "changed": other, "new": one}, objectives={"shop": other}, rules={"": one})

    found = {each.name: [change.path for change in each.fields] for each in compare_sections(before, after)}

    assert found.pop("alerting.channels.new")
    assert found.pop("alerting.channels.old")
    assert found == {"alerting.channels.changed": ["check.url"], "objectives.shop": ["check.url"]}
    assert compare_sections(before, before) == []


def test_stored_jobs_and_samples_are_not_removed() -> None:
    jobs = [*running(job("a"), owner="x"), *running(job("b"), origin="config/jobs/samples/health.json:2")]

    assert plan_files(jobs, {}, NOW).removed == []


def test_the_load_before_and_after() -> None:
    durations = {"a": RunDuration(30_000, True), "b": RunDuration(90_000, True)}
    group = {"concurrency_group": {"name": "db", "limit": 1, "wait": "10s"}}
    before, after = [job("a", **group)], [job("a", **group), job("b", **group), job("c", enabled=False), job("d")]

    load = compute_load_change(before, after, durations, UTC, NOW)

    assert (load.before.jobs, load.after.jobs) == (1, 4)
    assert (load.before.runs, load.after.runs) == (1440, 3 * 1440)
    assert load.after.rate == pytest.approx(3 / 60)
    assert load.after.busiest.value == pytest.approx(3 / 60, rel=0.05)
    assert (load.before.concurrency.value, load.after.concurrency.value) == (pytest.approx(0.5), pytest.approx(2.0))
    assert (load.before.unknown, load.after.unknown) == (0, 1)
    assert not load.before.groups
    assert load.after.groups[0].skipped > 0


def test_review_documents_are_small_and_contain_checks_alone() -> None:
    jobs = [job(f"j{number}", check={"url": f"https://x.example/{'a' * 2000}"}) for number in range(250)]
    jobs += [job("off", enabled=False), job("late", depends_on=["j0"], schedule=None)]

    documents = [*list_review_documents(jobs)]

    assert all(len(each) <= MAX_DOCUMENT + 4096 for each in documents)
    found = {name: one for each in documents for name, one in json.loads(each)["jobs"].items()}
    assert len(found) == 251
    assert found["late"] == {"schedule": None, "check": {"url": "https://shop.example/health"}}


@pytest.mark.parametrize(
    ("origin", "owner", "name"),
    [
        ("jobs/shop.yaml:3", None, "shop.yaml"),
        ("/etc/../jobs/a b\n.yml:3", None, "a-b.yaml"),
        ("C:\\jobs\\shop.json:3", None, "shop.yaml"),
        ("../../..:1", None, "jobs.yaml"),
        ("stored, version 3", "reports", "reports.yaml"),
        ("stored, version 3", "", "stored-jobs.yaml"),
    ],
)
def test_the_files_of_an_export_have_safe_names(origin: str, owner: str | None, name: str) -> None:
    jobs = select_jobs(running(job("a"), owner=owner, origin=origin), owner)

    (text,) = [*write_files(jobs, owner, JobFileFormat.YAML).items()]
    assert text[0] == name
    assert "a:\n" in text[1]


class Trail:
    """A reader of the audit trail alone."""

    async def find_change(self, job: str) -> RecordedChange | None:
        return RecordedChange(f"user:{job}", NOW, "job.patch") if job == "moved" else None


async def test_drift_looks_from_the_files() -> None:
    plan = plan_files(
        running(job("moved"), job("extra")), {"moved": job("moved", schedule="every 5s"), "new": job("new")}, NOW
    )

    report = await find_drift(Trail(), plan)  # type: ignore[arg-type]  # it reads the trail only

    assert [(each.name, each.kind) for each in report.jobs] == [
        ("extra", "extra"),
        ("moved", "changed"),
        ("new", "missing"),
    ]
    (field,) = report.jobs[1].fields
    assert (field.path, field.in_files, field.running) == ("schedule.every", "5s", "1m")
    assert report.jobs[1].change == RecordedChange("user:moved", NOW, "job.patch")
    assert report.is_drifted


def test_the_comment_of_a_pull_request(text_snapshot: SnapshotAssertion) -> None:
    before = running(job("moved", description=HOSTILE), job("old"))
    group = {"concurrency_group": {"name": "db", "limit": 1, "wait": "1s"}}
    files = {
        each.name: each
        for each in (
            job("moved", schedule={"cron": "0 30 2 * * *", "timezone": "Europe/Berlin"}, description="x"),
            job("new", check={"url": "https://shop.example/`|"}, **group),
            job("new-2", **group),
        )
    }
    plan = plan_files(before, files, NOW)
    review = SetReview({"new": f"denied {HOSTILE}"}, [Problem("jobs.new.check", HOSTILE)], [Problem("jobs.new", "w")])
    plan = type(plan)("id", HOSTILE, plan.added, plan.changed, plan.removed, 3, {"c": HOSTILE}, review)
    durations = {name: RunDuration(20_000, True) for name in files}
    load = compute_load_change([each.job for each in before], files.values(), durations, UTC, NOW)
    message = AlertMessage(NOW, "moved", HOSTILE, "hook", "opened", "new")
    alerts = AlertReplay(frozenset({"moved"}), NOW, 1, 2, [message], [HOSTILE])

    assert write_plan(PlanReport(plan, files, load, alerts, ZoneInfo("Europe/Berlin"))) == text_snapshot


def test_a_plan_without_changes_is_short(text_snapshot: SnapshotAssertion) -> None:
    plan = plan_files(running(job("a")), {"a": job("a")}, NOW)
    load = compute_load_change([job("a")], [job("a")], {}, UTC, NOW)

    assert write_plan(PlanReport(plan, {}, load, None, UTC)) == text_snapshot


def test_a_plan_warns_of_more_runs_in_one_second_than_a_process_can_start() -> None:
    plan = plan_files(running(job("a")), {"a": job("a")}, NOW)
    load = compute_load_change([job("a")], [job(f"job-{number}") for number in range(1200)], {}, UTC, NOW)
    text = write_plan(PlanReport(plan, {}, load, None, UTC))

    assert text.count("**Warning:** 1200 runs are due in the second of ") == 1
    assert "add jitter: 4s" in text
