"""`jobs`, `history`, `run`, `cancel`, `next` and `explain` by the API, as with the store."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.runs import Outcome, Run
from jobs.runs.details import (
    CertificateDetail,
    Details,
    DnsDetail,
    EntryStatus,
    HealthDetail,
    ReportedEntry,
    StepDetail,
    StepOutcome,
    TlsDetail,
)
from jobs.runs.waits import StartWait, WaitReason
from scheduler.features.runs.models import RunModel, view_run
from scheduler.features.runs.remote import read_run
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import RunRecord, Runs, RunState
from tests.observability.runs import DUE, failed_attempt, good_attempt, run, ticket
from tests.parts.host import job
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.reach.two_ways import two_ways

PAST = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)
JOBS = {
    "checkout": job("http://127.0.0.1:9/", None, tags={"team": "payments"}, description="Health"),
    "ledger": job("http://127.0.0.1:9/", "0 0 3 1 1 *", enabled=False),
    "report": job("http://127.0.0.1:9/", None, depends_on=["checkout"]),
    "yearly": job("http://127.0.0.1:9/", "0 0 3 1 1 *", depends_on=[{"job": "checkout", "within": "5m"}]),
}
DETAILS = Details(
    steps=(StepDetail("log in", 200, 3.25), StepDetail("pay", 503, 8.5, StepOutcome.FAILED, "connection_refused")),
    tls=TlsDetail("TLSv1.3", CertificateDetail("a.example", "R11", ("a.example",), 3, DUE)),
    dns=DnsDetail("NOERROR", ("192.0.2.1",), 2, 300, "192.0.2.53"),
    health=HealthDetail("DOWN", EntryStatus.DOWN, (ReportedEntry("db", EntryStatus.DOWN, "DOWN", "gone", 2.5),), 4),
)


async def put_runs(store: Store) -> None:
    failed = failed_attempt(wait_ms=None)
    runs = [
        run(job="checkout", due_at=PAST, attempts=(failed_attempt(), good_attempt(2))),
        run(
            Outcome.FAILED,
            job="checkout",
            due_at=PAST + timedelta(minutes=1),
            message="The target \x1b[31mrefused\x1b[0m.",
            attempts=(replace(failed, details=DETAILS, body="no\tupstream"),),
        ),
        replace(
            run(Outcome.SKIPPED, job="yearly", due_at=PAST, message="the job is paused"),
            waits=(StartWait(WaitReason.PLACE, 2500.0, "limit of all jobs"),),
        ),
    ]
    for each in runs:
        await Runs(store).insert_finished(ticket(each.job, each.due_at), each)


async def test_jobs_and_runs_are_shown_as_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_ways(tmp_path, monkeypatch, JOBS, put_runs) as ways:
        for words in (
            ("jobs",),
            ("jobs", "--json"),
            ("jobs", "--yaml"),
            ("jobs", "--tag", "team=payments", "--outcome", "failed", "--kind", "http", "--name", "check*"),
            ("jobs", "--outcome", "failed", "--yaml"),
            ("jobs", "--state", "paused"),
            ("history",),
            ("history", "--json", "--limit", "2"),
            ("history", "checkout", "--outcome", "failed"),
            ("history", "checkout", "--from", "90m"),
            ("history", "report"),
            ("history", "chekout"),
            ("history", "checkout@20260301T120000.000Z"),
            ("history", "--outcome", "wrong"),
            ("next", "yearly", "--from", "2026-01-01", "--json"),
            ("next", "ledger"),
            ("next", "report"),
            ("next", "repport"),
            ("next", "0 0 3 * * *", "--from", "2026-01-01"),
            ("explain", "yearly"),
        ):
            await ways.same(*words)
        for words in (("jobs",), ("history",), ("next", "yearly", "--from", "2026-01-01")):
            await ways.same(*words, terminal=True)
        for run_id in (line.split("\t")[-1] for line in (await ways.local("history")).lines[1:]):
            await ways.same("history", run_id)
            await ways.same("history", run_id, terminal=True)
            await ways.same("history", run_id, "--json")
        unknown = await ways.remote("history", "chekout", role="viewer")
        assert unknown.stderr == "there is no job named 'chekout', did you mean checkout?\n"


async def test_a_run_is_performed_by_the_scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        HttpTarget() as target,
        two_ways(
            tmp_path,
            monkeypatch,
            {"checkout": job(f"{target.url}/checkout"), "refused": job("http://127.0.0.1:9/")},
        ) as ways,
    ):
        await ways.refused("run", "checkout", role="viewer", needs="operator")
        done = await ways.remote("run", "checkout", "--json", role="operator")
        failed = await ways.remote("run", "refused", role="operator")
        run_id = json.loads(done.stdout)["id"]
        cancelled = await ways.same("cancel", run_id, role="operator")

        assert (done.code, json.loads(done.stdout)["outcome"]) == (0, "succeeded")
        assert (failed.code, failed.lines[0].startswith("refused failed")) == (1, True)
        assert (await ways.local("history", run_id, "--json")).stdout == done.stdout
        assert (cancelled.code, "is already finished" in cancelled.stderr) == (1, True)
        assert (await ways.same("run", "chekout", role="operator")).code == 2
        await ways.refused("cancel", run_id, role="viewer", needs="operator")


async def test_a_run_in_the_scheduler_shows_on_a_terminal_how_it_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HttpTarget() as target:
        target.on("/slow", delay=3.0)
        jobs = {"slow": job(f"{target.url}/slow", timeout={"attempt": "20s", "run": "20s"})}
        async with two_ways(tmp_path, monkeypatch, jobs) as ways:
            alone = await ways.remote("run", "slow", role="operator", terminal=True)
            many = await ways.remote("run", "--all", role="operator", terminal=True)

    shown = alone.stdout + alone.stderr
    assert (alone.code, "slow is running in the scheduler" in shown) == (0, True), shown
    assert (many.code, "1 over: 1 succeeded" in many.stdout + many.stderr) == (0, True), many.stderr


@given(
    st.sampled_from(Outcome),
    st.sampled_from([None, DETAILS, Details(tls=TlsDetail("TLSv1.2"))]),
    st.floats(0, 1e6),
    st.lists(st.builds(StartWait, st.sampled_from(WaitReason), st.floats(0, 1e6), st.text(max_size=5)), max_size=2),
)
def test_a_run_that_is_read_from_its_model_is_shown_as_the_same_model(
    outcome: Outcome, details: Details | None, total_ms: float, waits: list[StartWait]
) -> None:
    attempt = replace(good_attempt(total_ms=total_ms), details=details)
    shown: Run = replace(run(outcome, attempts=(failed_attempt(), attempt)), waits=tuple(waits))
    model = view_run(RunRecord(ticket(), RunState.FINISHED, "", None, shown, ""))

    assert view_run(read_run(RunModel.model_validate_json(model.model_dump_json()))) == model
