"""Rules about usual response times: judged after each hour, from the rollups that finished runs leave."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobs.runs import Ticket
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.backtest.service import Backtester, BacktestRequest
from scheduler.stores.port import Row
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from tests.scheduler.alerting.evaluation.evaluator_world import START, EvaluatorWorld, run_of
from tests.scheduler.alerting.replay.live import definitions_of
from tests.scheduler.fakes import entry

RULE = "slower_than_usual"
WEEK, HOUR = 7 * 24 * 60, 60
"""Minutes."""
JOB = entry("checkout", "every 1m", alerts=[{"when": {RULE: "50%", "minimum_runs": 10}}])


async def count_hour(world: EvaluatorWorld, minute: int, response_ms: float) -> None:
    """Count ten runs of the hour that begins this many minutes after START."""
    for number in range(10):
        run = run_of("checkout", minute + number, "S", response_ms=response_ms)
        ticket = Ticket.scheduled("checkout", run.due_at, "abcdef123456")
        await Runs(world.process.store).insert_finished(ticket, replace(run, id=ticket.id))


async def begin(*earlier: float) -> EvaluatorWorld:
    """The job took so long in the hour from START on, and in those of the weeks after. Now is a week after them."""
    world = EvaluatorWorld(JOB)
    for number, response_ms in enumerate(earlier):
        await count_hour(world, number * WEEK, response_ms)
    world.clock.move(len(earlier) * WEEK * 60)
    return world


def minutes(world: EvaluatorWorld) -> int:
    return round((world.clock.now() - START).total_seconds() / 60)


async def test_the_alert_opens_after_a_slow_hour_and_closes_after_a_usual_one() -> None:
    world = await begin(200, 210, 190, 200)
    await count_hour(world, minutes(world) + HOUR, 210)  # the following hour of this week ...
    for number in range(1, 5):
        await count_hour(world, minutes(world) + HOUR - number * WEEK, 200)  # ... and of the weeks before
    await count_hour(world, minutes(world), 400)
    await world.tick(61 * 60)
    assert not world.alert("checkout", RULE).is_firing, "the hour is not complete yet"
    await world.tick(60)
    assert world.alert("checkout", RULE).is_firing
    assert "usually 208 ms: more than 312 ms" in world.alert("checkout", RULE).evidence
    await world.tick(60 * 60)
    assert not world.alert("checkout", RULE).is_firing


async def test_nothing_opens_in_the_first_four_weeks() -> None:
    world = await begin(200, 200, 200)
    await count_hour(world, minutes(world), 4000)
    await world.tick(62 * 60)
    assert world.alerts == {}


async def test_each_hour_is_read_once() -> None:
    world = await begin(200, 210, 190, 200)
    await count_hour(world, minutes(world), 400)
    await world.tick(62 * 60)
    listed: list[str] = []
    list_rows = world.process.store.list_rows

    async def list_noted(table: str, partition: str, **options: Any) -> Sequence[Row]:
        listed.append(str(options.get("after", "")))
        return await list_rows(table, partition, **options)

    world.process.store.list_rows = list_noted  # type: ignore[method-assign]
    await world.tick(60)
    assert world.alert("checkout", RULE).is_firing
    assert [after for after in listed if after.startswith("hour~")] == []


async def test_a_backtest_finds_what_the_rule_would_have_opened() -> None:
    world = await begin(200, 210, 190, 200)
    slow = minutes(world)
    for number in range(1, 5):
        await count_hour(world, slow + HOUR - number * WEEK, 200)
    await count_hour(world, slow, 400)
    await count_hour(world, slow + HOUR, 200)
    stored = Repositories(world.process.store)
    backtester = Backtester(
        Runs(world.process.store), stored.changes, stored.incident_log, stored.silences, stored.requested_windows
    )
    snapshot: JobSnapshot = definitions_of(
        {"checkout": {"alerts": [{"when": {RULE: "50%", "minimum_runs": 10}}]}}
    ).book.snapshot
    since = START + timedelta(minutes=slow)
    report = await backtester.run(BacktestRequest(since, since + timedelta(hours=5)), snapshot)
    messages = [(str(each.kind), each.would_be and each.would_be - since) for each in report.comparison.messages]
    assert [kind for kind, _ in messages] == ["opened", "resolved"]
    opened, resolved = (at for _, at in messages)
    assert opened is not None
    assert resolved is not None
    assert timedelta(minutes=62) <= opened < timedelta(minutes=64)
    assert timedelta(minutes=122) <= resolved < timedelta(minutes=124)
