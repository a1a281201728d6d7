"""Burn alerts of objectives: when the evaluator judges them, and what it reads."""

from __future__ import annotations

from dataclasses import replace

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.suppression.windows import MaintenanceWindow
from jobs.runs import Ticket
from scheduler.stores.runs.repository import Runs
from tests.scheduler.alerting.evaluation.evaluator_world import MINUTE, START, EvaluatorWorld
from tests.scheduler.fakes import entry

CHECKOUT = entry("checkout", "every 1m", alerts=[], slo={"target": 99.9, "alerts": {"ticket": False}})
PAGE = "slo-burn-1h"


async def run(world: EvaluatorWorld, letters: str, *, is_judged: bool = True) -> list[bool]:
    """Store the runs of the next minutes, and let the process judge each."""
    found = []
    for each in world.next_runs("checkout", letters):
        ticket = Ticket.scheduled(each.job, each.due_at, "abcdef123456")
        await Runs(world.process.store).insert_finished(ticket, replace(each, id=ticket.id))
        if is_judged:
            found.append(await world.finish(each))
        else:
            world.store_run(each)
    return found


async def test_a_healthy_job_is_judged_once_and_then_not() -> None:
    world = EvaluatorWorld(CHECKOUT)
    assert await run(world, "SSSSS") == [True, False, False, False, False]


async def test_it_fires_when_the_budget_burns_in_both_windows_and_closes_without_a_run() -> None:
    world = EvaluatorWorld(CHECKOUT)
    await run(world, "S" * 30 + "F")
    assert not world.alert("checkout", PAGE).is_firing, "one bad run is not enough"
    await run(world, "SF")
    alert = world.alert("checkout", PAGE)
    assert alert.is_firing
    assert "(2 of 33 runs bad)" in alert.evidence
    for _ in range(4):
        await world.tick(60)
        assert world.alert("checkout", PAGE).is_firing
    await world.tick(60)
    assert not world.alert("checkout", PAGE).is_firing, "the last five minutes have no bad run"


async def test_bad_runs_of_before_a_restart_are_counted() -> None:
    world = EvaluatorWorld(CHECKOUT)
    await run(world, "S" * 10 + "FFSF", is_judged=False)
    world.restart()
    assert await run(world, "S") == [True]
    assert world.alert("checkout", PAGE).is_firing
    assert world.alert("checkout", "slo-burn-6h").is_firing


async def test_runs_of_a_window_that_does_not_count_burn_nothing() -> None:
    period = {"from": (START + 5 * MINUTE).isoformat(), "until": (START + 20 * MINUTE).isoformat()}
    window = MaintenanceWindow.model_validate({"name": "patching", "select": {"all": True}, "counts": False, **period})
    world = EvaluatorWorld(CHECKOUT, alerting=define_alerting({"windows": (DefinedEntry("", window),)}))
    await run(world, "S" * 5 + "F" * 15 + "F")
    assert not world.alert("checkout", PAGE).is_firing
    await run(world, "F")
    assert world.alert("checkout", PAGE).is_firing
    assert "2 of 7 runs bad" in world.alert("checkout", PAGE).evidence


async def test_an_alert_ends_when_the_objective_has_no_alerts_any_more() -> None:
    world = EvaluatorWorld(CHECKOUT)
    await run(world, "FFF")
    assert world.alert("checkout", PAGE).is_firing
    world.replace(entry("checkout", "every 1m", alerts=[], slo={"target": 99.9}))
    await world.tick(60)
    assert not world.alert("checkout", PAGE).is_firing
