"""What is known about the members of an incident."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.incidents.values import AlertKey, Member
from jobs.runs import Attempt, Outcome, Phases, Run
from jobs.runs.run import Failure
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.features.incidents import facts as member_facts
from scheduler.features.incidents.facts import MemberFacts, MemberFactsReader
from scheduler.stores.runs.repository import Runs
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryStore
from tests.scheduler.stores.samples import NOON, ticket

TARGET = "GET http://127.0.0.1:9/"


def member(subject: str = "checkout", *, since: float = 0, resolved: float | None = None) -> Member:
    resolved_at = None if resolved is None else NOON + timedelta(seconds=resolved)
    at = NOON + timedelta(seconds=since)
    return Member(AlertKey(subject, "failed"), 1, "down", 20, at, at, "failed", resolved_at=resolved_at)


class Desk:
    def __init__(self, *names: str, **job: Any) -> None:
        self.runs = Runs(MemoryStore())
        jobs = [entry(name, **job) for name in names or ("checkout",)]
        self.reader = MemberFactsReader(Catalog(JobSnapshot(jobs)), self.runs)

    async def run(self, seconds: float, outcome: Outcome, body: str = "", job: str = "checkout") -> str:
        """Store a run; a rejected one has no attempt. Returns its id."""
        due = ticket(job, seconds)
        failures = (Failure("status", "200", "503"),) if outcome is Outcome.FAILED else ()
        attempts = (Attempt(1, due.due_at, Phases(), failures=failures, body=body),)
        at = due.due_at
        message = "Rejected: the circuit is open." if outcome is Outcome.REJECTED else ""
        attempts = () if outcome is Outcome.REJECTED else attempts
        await self.runs.insert_finished(
            due, Run(due.id, job, due.trigger, outcome, at, at, at, attempts, None, message)
        )
        return due.id

    async def read_one(self, one: Member) -> MemberFacts:
        return (await self.reader.read([one]))[one.key]


async def test_the_latest_run_explains_a_failing_job() -> None:
    desk = Desk()
    await desk.run(1, Outcome.FAILED, "first")
    latest = await desk.run(2, Outcome.FAILED, "second")
    assert await desk.read_one(member()) == MemberFacts(TARGET, "", "status 200", "503", "second", latest)


@pytest.mark.parametrize("later", [Outcome.REJECTED, Outcome.SKIPPED, Outcome.SUCCEEDED])
async def test_a_later_run_that_does_not_show_the_target_failing_explains_nothing(later: Outcome) -> None:
    desk = Desk()
    failed = await desk.run(1, Outcome.FAILED, "first")
    await desk.run(2, later)
    found = await desk.read_one(member())
    assert (found.answer, found.failed_run) == ("first", failed)


async def test_of_a_resolved_member_later_failures_do_not_count() -> None:
    desk = Desk()
    await desk.run(1, Outcome.FAILED, "within")
    await desk.run(10, Outcome.FAILED, "after")
    assert (await desk.read_one(member(resolved=5))).answer == "within"


async def test_a_failure_before_the_alert_does_not_count() -> None:
    desk = Desk()
    await desk.run(1, Outcome.FAILED, "before")
    assert await desk.read_one(member(since=5)) == MemberFacts(TARGET)


async def test_a_removed_job_and_a_group_have_no_facts() -> None:
    assert await Desk().read_one(member("gone")) == MemberFacts()


async def test_a_large_incident_reads_a_bounded_number_of_histories(monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"job-{number:02}" for number in range(40)]
    desk = Desk(*names)
    for name in names:
        await desk.run(1, Outcome.FAILED, name, name)
        await desk.run(2, Outcome.SUCCEEDED, job=name)
    monkeypatch.setattr(member_facts, "MAX_HISTORIES_READ", 3)
    found = await desk.reader.read([member(name) for name in names])
    assert [each.target for each in found.values()] == [TARGET] * 40
    assert [each.answer for each in found.values() if each.answer] == names[:3]
