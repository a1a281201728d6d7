"""Groups of jobs through the evaluator: when they are down, and which runs of their members count."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.alerting.alert import AlertStatus
from jobs.alerting.groups import AlertGroup
from jobs.definition.alerting_section import AlertingDefinitions, DefinedEntry, define_alerting
from jobs.runs import Trigger
from scheduler.stores.gates import Pause
from scheduler.stores.port import StoreUnavailable
from tests.scheduler.alerting.evaluation.evaluator_world import EvaluatorWorld, run_of
from tests.scheduler.fakes import entry

MEMBERS = [entry(name, "every 1m", alerts=[]) for name in ("a", "b", "c", "d")]


def group_of(**fields: Any) -> AlertingDefinitions:
    group = AlertGroup.model_validate({"jobs": {"all": True}} | fields)
    return define_alerting({"groups": (DefinedEntry("shop", group),)})


async def play(world: EvaluatorWorld, **letters: str) -> None:
    """Let the jobs run at the same time, so many minutes after the runs before."""
    start = world.minute
    for at in range(max(map(len, letters.values()))):
        for job, each in letters.items():
            if at < len(each):
                await world.finish(run_of(job, start + at, each[at]), at % len(world.processes))
    world.minute = start + max(map(len, letters.values()))


@pytest.mark.parametrize(
    ("down_when", "up", "down"),
    [
        ("any", {"a": "S", "b": "S"}, {"a": "F"}),
        ("all", {"a": "F", "b": "S"}, {"b": "F"}),
        ({"at_least": 2}, {"a": "F", "b": "S"}, {"b": "F"}),
        ({"share": "50%"}, {"a": "F", "b": "S", "c": "S", "d": "S"}, {"b": "F"}),
    ],
)
async def test_it_is_down_when_enough_of_its_jobs_are(down_when: object, up: Any, down: Any) -> None:
    world = EvaluatorWorld(*MEMBERS, alerting=group_of(down_when=down_when))
    await world.tick()
    await play(world, **dict.fromkeys(up, "S"))
    await play(world, **up)
    assert not world.alerts

    await play(world, **down)
    assert world.alert("shop").is_firing

    await play(world, **dict.fromkeys(down, "S"))
    assert world.alert("shop").status is AlertStatus.RESOLVED


async def test_a_degraded_job_is_up_unless_the_rule_is_about_degraded() -> None:
    alerts = [{"when": "failed"}, {"when": "degraded"}]
    world = EvaluatorWorld(*MEMBERS, alerting=group_of(alerts=alerts))
    await world.tick()
    await play(world, a="D")
    assert not world.alert("shop").is_active
    assert world.alert("shop", "degraded").is_firing


async def test_manual_runs_do_not_count_unless_the_rule_names_them() -> None:
    alerts = [{"when": "failed"}, {"name": "any-run", "triggers": ["schedule", "manual"]}]
    world = EvaluatorWorld(*MEMBERS, alerting=group_of(alerts=alerts))
    await world.tick()
    await world.finish(run_of("a", 0, "F", trigger=Trigger.MANUAL))
    assert not world.alert("shop").is_active
    assert world.alert("shop", "any-run").is_firing


async def test_a_paused_member_does_not_count_during_and_after_the_pause() -> None:
    world = EvaluatorWorld(*MEMBERS, alerting=group_of())
    await world.tick()
    await play(world, a="F", b="S")
    assert world.alert("shop").is_firing
    await world.process.pauses.set_pause(Pause("a", world.clock.now()))
    await world.tick(1)
    assert not world.alert("shop").is_active
    await world.process.pauses.resume("a", world.clock.now())
    await world.tick(10)
    await play(world, b="D")
    assert not world.alert("shop").is_active

    await play(world, a="F")
    assert world.alert("shop").is_firing


@pytest.mark.parametrize("later", ["-", "B", "U", "manual"])
async def test_after_a_restart_the_newest_run_that_counts_decides(later: str) -> None:
    world = EvaluatorWorld(*MEMBERS, alerting=group_of())
    await world.tick()
    await play(world, a="F", b="S")
    if later == "manual":
        await world.finish(run_of("a", 1, "S", trigger=Trigger.MANUAL))
    else:
        await world.finish(run_of("a", 1, later))
    world.restart()
    await world.tick(1)
    world.minute = 2

    await play(world, b="D")

    assert world.alert("shop").is_firing


async def test_for_fires_by_the_tick() -> None:
    world = EvaluatorWorld(*MEMBERS, alerting=group_of(alerts=[{"for": "5m"}]))
    await world.tick()
    await play(world, a="F")
    assert world.alert("shop").status is AlertStatus.PENDING
    await world.tick(301)
    assert world.alert("shop").is_firing


async def test_an_alert_ends_with_its_group() -> None:
    world = EvaluatorWorld(*MEMBERS, alerting=group_of())
    await world.tick()
    await play(world, a="F")
    world.replace(*MEMBERS)
    await world.tick(1)
    assert not world.alert("shop").is_active


async def test_what_another_process_has_executed_counts() -> None:
    world = EvaluatorWorld(*MEMBERS, alerting=group_of(down_when={"at_least": 2}), processes=2)
    await world.tick()
    await world.finish(run_of("a", 0, "F"), 0)
    await world.finish(run_of("b", 0, "F"), 1)
    assert world.alert("shop").is_firing

    await world.finish(run_of("c", 1, "S"), 1)
    await world.finish(run_of("c", 2, "D"), 0)
    assert world.alert("shop").is_firing
    await world.finish(run_of("a", 1, "S"), 1)
    assert not world.alert("shop").is_active


async def test_a_group_that_cannot_be_judged_is_judged_by_the_tick() -> None:
    world = EvaluatorWorld(*MEMBERS, alerting=group_of())
    await world.tick()
    world.process.store.breaks_after = 0
    with pytest.raises(StoreUnavailable):
        await play(world, a="F")
    world.process.store.breaks_after = None
    await world.tick(1)
    assert world.alert("shop").is_firing
