"""The alert of the scheduler that lacks CPU."""

from __future__ import annotations

from typing import Any

from jobs.incidents.engine.facts import STARVED
from scheduler.alerting.rule_book import STARVED_KEY, RuleBook
from tests.scheduler.alerting.evaluation.evaluator_world import EvaluatorWorld
from tests.scheduler.fakes import entry

CAUSE = "the scheduler lacks CPU"


def world_of(**more: Any) -> EvaluatorWorld:
    return EvaluatorWorld(entry("checkout", "every 1m", alerts=[{"when": "failed"}]), **more)


async def test_a_process_that_lacks_cpu_fires_one_alert_with_its_advice() -> None:
    world = world_of()
    world.starvation = CAUSE
    for _ in range(5):
        await world.tick(10)

    alert = world.alert("scheduler", STARVED)
    assert (alert.is_firing, alert.number, alert.evidence) == (True, 1, CAUSE)


async def test_the_alert_closes_once_the_process_has_its_cpu() -> None:
    world = world_of()
    world.starvation = CAUSE
    await world.tick(10)
    world.starvation = ""
    await world.tick(10)

    assert not world.alert("scheduler", STARVED).is_active


async def test_a_starved_scheduler_is_not_blind() -> None:
    world = world_of()
    world.starvation = CAUSE
    await world.tick(10)

    assert not world.alert("scheduler", "blind").is_active


async def test_the_alert_outlives_a_restart_until_it_is_known_to_be_over() -> None:
    world = world_of()
    world.starvation = CAUSE
    await world.tick(10)
    world.restart()
    world.starvation = ""
    await world.tick(10)
    assert world.alert("scheduler", STARVED).is_firing
    for _ in range(10):
        await world.tick(10)

    assert not world.alert("scheduler", STARVED).is_active


def test_the_alert_holds_back_no_other_and_counts_as_degraded() -> None:
    policy = RuleBook(world_of().catalog.snapshot).policy_of(STARVED_KEY)

    assert policy is not None
    assert policy.severity == "degraded"
