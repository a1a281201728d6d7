"""What follows from a finished run: one job after the other, conditions, reasons, repetition."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.runs import Outcome, Trigger
from scheduler.dispatch.port import DispatchError
from scheduler.stores.gates import Pause
from scheduler.stores.runs.repository import RunState
from tests.scheduler.dependencies.chain_parts import Line, floor_ms, waits_for
from tests.scheduler.fakes import START, entry

DATABASE = entry("database", "every 1m")
CACHE = entry("cache", "0 30 3 * * *")
"""Never due at the same instant."""


async def test_a_job_without_a_schedule_runs_when_its_parent_did() -> None:
    line = Line(DATABASE, waits_for("report", "database"))
    line.clock.move(1.2345)

    run = await line.ends(line.scheduled("database", ago=1.2345))

    ticket = line.sent_one("report")
    assert ticket.trigger is Trigger.DEPENDENCY
    assert ticket.due_at == floor_ms(run.finished_at)
    assert ticket.generation == line.catalog.get_job("report").generation
    assert ticket.correlation_id == run.id == "database@20260301T120000.000Z"
    (record,) = await line.history("report")
    assert (record.ticket, record.state) == (ticket, RunState.QUEUED)


async def test_only_jobs_that_start_others_are_followed_up() -> None:
    line = Line(DATABASE, waits_for("report", "database"), entry("other", depends_on=["database"]))

    assert line.dependents.has_dependents("database")
    assert not line.dependents.has_dependents("report")
    assert not line.dependents.has_dependents("nobody")


async def test_a_scheduled_job_is_not_started_by_what_it_depends_on() -> None:
    line = Line(DATABASE, entry("report", "every 1m", depends_on=["database"]))

    await line.ends(line.scheduled("database"))

    assert line.sent() == []
    assert await line.history("report") == ()


@pytest.mark.parametrize(
    ("condition", "outcome", "runs"),
    [
        ("succeeded", Outcome.SUCCEEDED, True),
        ("succeeded", Outcome.FAILED, False),
        ("failed", Outcome.TIMED_OUT, True),
        ("failed", Outcome.SUCCEEDED, False),
        ("finished", Outcome.REJECTED, True),
        ("finished", Outcome.CANCELLED, False),
    ],
)
async def test_the_condition_decides_between_running_and_skipping(condition: str, outcome: Outcome, runs: bool) -> None:
    line = Line(DATABASE, waits_for("report", {"job": "database", "condition": condition}))

    await line.ends(line.scheduled("database"), outcome)

    assert bool(line.sent()) is runs
    (record,) = await line.history("report")
    assert (record.state is RunState.QUEUED) is runs


async def test_a_run_that_is_skipped_reports_why_and_is_reported() -> None:
    line = Line(DATABASE, waits_for("report", "database"))

    await line.ends(line.scheduled("database"), Outcome.FAILED)

    assert await line.reasons("report") == [
        "dependency run database@20260301T120000.000Z failed (condition: succeeded)"
    ]
    assert [event.run.job for event in line.heard.finished] == ["report"]


async def test_grandchildren_are_skipped_with_the_reason() -> None:
    line = Line(DATABASE, waits_for("load", "database"), waits_for("report", "load"), waits_for("mail", "report"))

    run = await line.ends(line.scheduled("database"), Outcome.FAILED)

    (report,) = await line.history("report")
    (load,) = await line.history("load")
    assert await line.reasons("report") == [
        f"dependency run {load.ticket.id} was skipped: dependency run {run.id} failed (condition: succeeded)"
    ]
    assert (await line.reasons("mail"))[0].startswith(f"dependency run {report.ticket.id} was skipped: ")
    assert report.ticket.correlation_id == run.id


async def test_what_a_gate_skipped_skips_its_children() -> None:
    line = Line(DATABASE, waits_for("report", "database"))

    await line.ends(line.scheduled("database"), Outcome.SKIPPED, "the previous run was still running")

    assert await line.reasons("report") == [
        "dependency run database@20260301T120000.000Z was skipped: the previous run was still running"
    ]


async def test_a_failure_may_be_what_a_job_waits_for_while_another_is_skipped() -> None:
    repair = waits_for("repair", {"job": "database", "condition": "failed"})
    line = Line(DATABASE, waits_for("report", "database"), repair)

    await line.ends(line.scheduled("database"), Outcome.FAILED)

    line.sent_one("repair")
    assert len(await line.reasons("report")) == 1


async def test_following_up_again_changes_nothing() -> None:
    line = Line(DATABASE, waits_for("load", "database"), waits_for("report", "load"))
    run = await line.ends(line.scheduled("database"), Outcome.FAILED)
    reported = len(line.heard.finished)

    await line.dependents.start_dependents(run)

    assert len(await line.history("load")) == len(await line.history("report")) == 1
    assert len(line.heard.finished) == reported


async def test_what_was_stored_and_not_handed_over_is_handed_over_the_next_time() -> None:
    line = Line(DATABASE, waits_for("report", "database"))
    run = await line.recorded(line.scheduled("database"))
    line.dispatch.fails = DispatchError("the queue is away")
    with pytest.raises(DispatchError):
        await line.dependents.start_dependents(run)
    line.dispatch.fails = None

    await line.dependents.start_dependents(run)

    line.sent_one("report")
    assert len(await line.history("report")) == 1


async def test_a_run_that_has_started_is_not_handed_over_again() -> None:
    line = Line(DATABASE, waits_for("report", "database"))
    run = await line.ends(line.scheduled("database"))
    await line.claims(line.sent_one("report"))

    await line.dependents.start_dependents(run)

    assert line.sent() == []


async def test_a_crash_between_two_generations_is_made_good() -> None:
    line = Line(DATABASE, waits_for("load", "database"), waits_for("report", "load"))
    run = await line.ends(line.scheduled("database"), Outcome.FAILED)
    (report,) = await line.history("report")
    bare = Line(DATABASE, waits_for("load", "database"))
    await bare.ends(bare.scheduled("database"), Outcome.FAILED)
    again = Line(DATABASE, waits_for("load", "database"), waits_for("report", "load"), store=bare.store)

    await again.dependents.start_dependents(run)

    assert [record.ticket.id for record in await again.history("report")] == [report.ticket.id]


async def test_a_disabled_child_is_skipped_and_so_are_its_children() -> None:
    line = Line(DATABASE, waits_for("load", "database", enabled=False), waits_for("report", "load"))

    await line.ends(line.scheduled("database"))

    assert line.sent() == []
    assert await line.reasons("load") == ["the job is disabled"]
    assert (await line.reasons("report"))[0].endswith("was skipped: the job is disabled")


async def test_a_paused_child_is_skipped_with_the_pause() -> None:
    line = Line(DATABASE, waits_for("report", "database"))
    await line.pauses.set_pause(Pause("report", START, None, "deployment"))

    await line.ends(line.scheduled("database"))

    assert line.sent() == []
    assert await line.reasons("report") == ["the job is paused until it is resumed: deployment"]


async def test_a_run_that_people_request_starts_its_chain() -> None:
    line = Line(DATABASE, waits_for("load", "database"), waits_for("report", "load"))

    run = await line.ends(line.requested("database"))
    load = line.sent_one("load")
    await line.ends(load)

    assert load.correlation_id == run.id
    assert line.sent_one("report").correlation_id == run.id


async def test_every_run_of_the_parent_starts_one() -> None:
    line = Line(DATABASE, waits_for("report", "database"))

    for _ in range(3):
        await line.ends(line.scheduled("database"))
        line.clock.move(60)

    assert len({ticket.id for ticket in line.sent()}) == 3


async def test_a_long_chain_is_skipped_to_its_end() -> None:
    names = [f"step{number}" for number in range(1500)]
    steps = [waits_for(name, before) for before, name in zip(["database", *names], names, strict=False)]
    line = Line(DATABASE, *steps)

    await line.ends(line.scheduled("database"), Outcome.FAILED)

    assert (await line.reasons(names[-1]))[0].startswith("dependency run step1498@")


async def test_of_a_parent_outside_the_chain_the_newest_run_counts() -> None:
    line = Line(DATABASE, CACHE, waits_for("report", "database", {"job": "cache", "within": "5m"}))
    await line.recorded(line.scheduled("cache", ago=100), Outcome.FAILED)
    line.clock.move(1)
    await line.recorded(line.scheduled("cache"))
    line.clock.move(59)

    await line.ends(line.scheduled("database"))

    line.sent_one("report")


async def test_a_parent_outside_the_chain_may_be_too_old() -> None:
    line = Line(DATABASE, CACHE, waits_for("report", "database", {"job": "cache", "within": "5m"}))
    cache = await line.recorded(line.scheduled("cache"))
    line.clock.move(420)

    await line.ends(line.scheduled("database"))

    assert line.sent() == []
    assert await line.reasons("report") == [f"dependency run {cache.id} ended 7m ago (within: 5m)"]


async def test_a_parent_outside_the_chain_may_have_no_run() -> None:
    line = Line(DATABASE, entry("cache", None), waits_for("report", "database", "cache"))

    await line.ends(line.scheduled("database"))

    assert await line.reasons("report") == ["dependency cache has not run yet"]


async def test_a_parent_outside_the_chain_that_continues_counts_with_the_run_before() -> None:
    line = Line(DATABASE, CACHE, waits_for("report", "database", "cache"))
    await line.recorded(line.scheduled("cache", ago=50))
    await line.claims(line.scheduled("cache", ago=3))

    await line.ends(line.scheduled("database"))

    line.sent_one("report")


async def test_the_age_is_counted_from_the_end_of_the_chain() -> None:
    """So that following up again, however late, comes to the same."""
    line = Line(DATABASE, CACHE, waits_for("report", "database", {"job": "cache", "within": "5m"}))
    await line.recorded(line.scheduled("cache", ago=1))
    line.clock.move(60)
    run = await line.recorded(line.scheduled("database"))
    line.clock.move(timedelta(hours=1).total_seconds())

    await line.dependents.start_dependents(run)

    line.sent_one("report")
