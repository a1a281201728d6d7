"""A scheduled job runs only if the newest runs of those it depends on are as it asks, or waits for that."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobs.runs import Outcome, Ticket, Trigger
from jobs.runs.outcomes import Reason, ReasonCode
from scheduler.catalog.catalog import CatalogJob
from scheduler.gates import GateVerdict, Skip, Wait
from scheduler.gates.gates import DependencyGate
from tests.scheduler.dependencies.chain_parts import Line
from tests.scheduler.fakes import START, entry

DATABASE = entry("database", "every 1m")


def gated(*depends_on: Any) -> CatalogJob:
    return entry("report", "every 1m", depends_on=list(depends_on))


def unmet(message: str) -> Reason:
    return Reason(ReasonCode.DEPENDENCY, message)


class Gated(Line):
    """A line with the job `report`, whose gate is asked of its ticket, due at the start."""

    def __init__(self, *depends_on: Any) -> None:
        super().__init__(DATABASE, entry("cache", "every 1m"), gated(*depends_on))
        self.gate = DependencyGate(self.runs, self.clock)
        self.entry = self.catalog.get_job("report")
        self.ticket = self.scheduled("report")

    async def requests(self) -> GateVerdict:
        assert self.gate.applies_to(self.ticket, self.entry)
        return await self.gate.check(self.ticket, self.entry)


async def test_a_run_continues_if_the_newest_run_is_as_it_requests() -> None:
    line = Gated("database")
    await line.recorded(line.scheduled("database", ago=120), Outcome.FAILED)
    await line.recorded(line.scheduled("database", ago=60))
    await line.claims(line.scheduled("database"))

    assert await line.requests() is None


async def test_a_run_is_skipped_if_the_newest_run_is_not_as_it_requests() -> None:
    line = Gated("cache", "database")
    await line.recorded(line.scheduled("cache", ago=60))
    failed = await line.recorded(line.scheduled("database", ago=60), Outcome.FAILED)

    assert await line.requests() == Skip(unmet(f"dependency run {failed.id} failed (condition: succeeded)"))


async def test_a_run_is_skipped_if_there_is_no_run_yet() -> None:
    assert await Gated("database").requests() == Skip(unmet("dependency database has not run yet"))


async def test_a_run_that_ended_too_long_ago_does_not_count() -> None:
    line = Gated({"job": "database", "within": "5m"})
    await line.recorded(line.scheduled("database"))
    line.clock.move(300)
    assert await line.requests() is None
    line.clock.move(1)

    verdict = await line.requests()

    assert isinstance(verdict, Skip)
    assert verdict.reason.message.endswith("ended 5m1s ago (within: 5m)")


async def test_what_another_process_has_just_recorded_counts() -> None:
    line = Gated("database")
    await line.runs.find_latest("database")
    other = Line(DATABASE, store=line.store)
    await other.recorded(other.scheduled("database"))

    assert await line.requests() is None


async def test_a_run_waits_as_long_as_it_may() -> None:
    line = Gated({"job": "database", "wait": "2m"})
    requested = 0
    while isinstance(verdict := await line.requests(), Wait):
        requested += 1
        line.clock.move((verdict.retry_at - line.clock.now()).total_seconds())

    assert verdict == Skip(unmet("dependency database has not run yet; it waited 2m for that"))
    assert line.clock.now() == START + timedelta(minutes=2)
    assert requested < 40


async def test_a_run_that_waits_continues_soon_after_what_it_waits_for() -> None:
    line = Gated({"job": "database", "wait": "2m"})
    line.clock.move(1)
    await line.recorded(line.scheduled("database"))

    assert await line.requests() is None


async def test_it_reads_often_at_first() -> None:
    line = Gated({"job": "database", "wait": "2m"})

    verdict = await line.requests()

    assert verdict == Wait(START + timedelta(seconds=0.5), unmet("dependency database has not run yet"))


async def test_the_first_dependency_whose_time_is_over_decides() -> None:
    line = Gated({"job": "database", "wait": "2m"}, {"job": "cache", "wait": "10s"})
    line.clock.move(10)

    assert await line.requests() == Skip(unmet("dependency cache has not run yet; it waited 10s for that"))


@pytest.mark.parametrize("trigger", [Trigger.MANUAL, Trigger.REPLAY, Trigger.BACKFILL, Trigger.DEPENDENCY])
def test_only_what_the_schedule_requests_is_gated(trigger: Trigger) -> None:
    job = gated("database")
    ticket = Ticket.scheduled("report", START, job.generation)

    gate = DependencyGate(Line(DATABASE, job).runs, Line(DATABASE).clock)

    assert gate.applies_to(ticket, job)
    assert not gate.applies_to(replace(ticket, trigger=trigger), job)
    assert not gate.applies_to(Ticket.scheduled("database", START, ""), DATABASE)
