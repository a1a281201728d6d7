"""Burn alerts of objectives over several jobs: when they are judged, what they count, who writes, and replays."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.definition.job import SelectedObjective
from jobs.definition.job_alerts import OBJECTIVES_PART
from jobs.incidents.routes import RoutingTable
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.values import AlertKey
from jobs.runs import Run, Ticket
from scheduler.alerting.replay.history import RecordedFiring, ReplayDefinitions, ReplayInput
from scheduler.alerting.replay.replaying import replay
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.backtest.service import BacktestRequest, build_backtester
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from tests.scheduler.alerting.evaluation.evaluator_world import MINUTE, START, EvaluatorWorld
from tests.scheduler.fakes import entry
from tests.scheduler.stores.memory import MemoryStore

JOBS = (entry("web", "every 1m", alerts=[]), entry("api", "every 1m", alerts=[]), entry("other", "every 1m", alerts=[]))
PAGE = "slo-burn-1h"


def define(**more: object) -> AlertingDefinitions:
    """Return an objective `shop` over web and api."""
    value = {"target": 99.9, "alerts": {"ticket": False}, "select": {"jobs": ["web", "api"]}, **more}
    return define_alerting({OBJECTIVES_PART: (DefinedEntry("shop", SelectedObjective.model_validate(value)),)})


async def store(world: EvaluatorWorld, letters: Mapping[str, str]) -> list[Run]:
    """Store the runs of jobs in the same minutes."""
    found, minute = [], world.minute
    for job, each in letters.items():
        world.minute = minute
        for run in world.next_runs(job, each):
            ticket = Ticket.scheduled(run.job, run.due_at, "abcdef123456")
            await Runs(world.process.store).insert_finished(ticket, replace(run, id=ticket.id))
            found.append(run)
    return sorted(found, key=lambda run: run.due_at)


async def execute(world: EvaluatorWorld, letters: Mapping[str, str]) -> list[bool]:
    """Store the runs, and let the process judge each. Return whether each had to be judged."""
    return [await world.finish(run) for run in await store(world, letters)]


async def test_a_healthy_objective_is_judged_once_and_then_not() -> None:
    world = EvaluatorWorld(*JOBS, alerting=define())
    assert await execute(world, {"web": "SSS", "api": "SSS"}) == [True, *[False] * 5]


async def test_bad_runs_of_several_jobs_are_added() -> None:
    world = EvaluatorWorld(*JOBS, alerting=define())
    await execute(world, {"web": "S" * 10 + "F", "api": "S" * 11, "other": "F" * 11})
    assert not world.alert("shop", PAGE).is_firing, "one bad run is not enough"
    await execute(world, {"web": "S", "api": "F", "other": "F"})
    assert world.alert("shop", PAGE).is_firing
    assert "(2 of 24 runs bad)" in world.alert("shop", PAGE).evidence


async def test_it_closes_without_a_run() -> None:
    world = EvaluatorWorld(*JOBS, alerting=define())
    await execute(world, {"web": "F", "api": "F"})
    await world.tick(60)
    assert world.alert("shop", PAGE).is_firing
    for _ in range(5):
        await world.tick(60)
    assert not world.alert("shop", PAGE).is_firing


async def test_bad_runs_of_before_a_restart_are_counted() -> None:
    world = EvaluatorWorld(*JOBS, alerting=define())
    for run in await store(world, {"web": "F", "api": "F"}):
        world.store_run(run)
    world.restart()
    assert await execute(world, {"web": "S"}) == [True]
    assert world.alert("shop", PAGE).is_firing


async def test_an_alert_ends_when_the_objective_has_no_alerts_any_more() -> None:
    world = EvaluatorWorld(*JOBS, alerting=define())
    await execute(world, {"web": "F", "api": "F"})
    world.replace(*JOBS, alerting=define(alerts=False))
    await world.tick(60)
    assert not world.alert("shop", PAGE).is_active


async def test_two_processes_that_judge_at_once_let_it_fire_once() -> None:
    world = EvaluatorWorld(*JOBS, alerting=define(), processes=2)
    runs = await store(world, {"web": "F", "api": "F"})
    await asyncio.gather(*(world.finish(run, number % 2) for number, run in enumerate(runs)))
    alert = world.alert("shop", PAGE)
    assert (alert.is_firing, alert.number) == (True, 1)


def test_routes_select_it_by_its_kind_and_tags() -> None:
    book = RuleBook(EvaluatorWorld(*JOBS, alerting=define(tags={"team": "shop"})).catalog.snapshot)
    subject = book.describe("shop", "down")
    assert (subject.kind, subject.tags) == ("objective", {"team": "shop"})


def test_a_replay_takes_its_alerts_as_recorded() -> None:
    book = RuleBook(JobSnapshot(JOBS, START, alerting=define()))
    definitions = ReplayDefinitions(book, SuppressionSet(), RoutingTable(()))
    firing = RecordedFiring(AlertKey("shop", PAGE), START + MINUTE, START)
    found = replay(definitions, ReplayInput(START, START + 9 * MINUTE, firings=(firing,)))
    assert [each.incident.lead.subject for each in found.incidents.values()] == ["shop"]


async def test_a_backtest_reports_changed_ones_that_it_does_not_replay() -> None:
    snapshots = [
        JobSnapshot(JOBS, START, alerting=define(alerts={"minimum_bad_runs": runs, "ticket": False})) for runs in (2, 3)
    ]
    store = MemoryStore()
    backtester = build_backtester(Runs(store), Repositories(store))
    report = await backtester.run(BacktestRequest(START, START + MINUTE), *snapshots)
    assert report.notes == ("2 changed rules about burn_rate are not replayed: runs do not show when it is met",)
