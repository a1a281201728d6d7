"""What the tick finds without a run: silence, circuits, dead letters, secrets, blindness, windows that slide."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.alerting.alert import AlertStatus
from jobs.running.circuit_state import CircuitCondition, CircuitState, dump_state
from jobs.runs import Ticket
from jobs.runs.outcomes import ErrorClass
from scheduler.catalog.catalog import CatalogJob
from scheduler.stores.dead_letters import DeadLetter
from scheduler.stores.gates import Pause
from tests.scheduler.alerting.evaluation.evaluator_world import MINUTE, START, EvaluatorWorld, run_of
from tests.scheduler.fakes import entry

BLIND = ("scheduler", "blind")


def job_of(*rules: object, **more: Any) -> CatalogJob:
    return entry("checkout", "every 1m", timeout={"run": "10s"}, retry={"attempts": 1}, alerts=list(rules), **more)


async def pass_time(world: EvaluatorWorld, minutes: float, step: float = 10.0) -> None:
    for _ in range(int(minutes * 60 / step)):
        await world.tick(step)


async def test_a_job_without_a_run_is_silent() -> None:
    world = EvaluatorWorld(job_of({"when": "silent"}))
    await world.tick()
    await world.run("checkout", "SS")
    assert not world.alerts
    await pass_time(world, 4)

    alert = world.alert("checkout", "silent")
    assert alert.is_firing
    assert alert.failing_since == START + 2 * MINUTE
    world.minute = 6
    await world.run("checkout", "S")
    assert not world.alert("checkout", "silent").is_active


async def test_a_skipped_run_ends_silence_at_once() -> None:
    world = EvaluatorWorld(job_of({"when": "silent"}))
    await world.run("checkout", "S")
    await pass_time(world, 4)
    assert world.alert("checkout", "silent").is_firing
    await world.finish(run_of("checkout", 5, "-"))
    assert not world.alert("checkout", "silent").is_active


async def test_a_silent_job_stays_so_over_a_restart() -> None:
    world = EvaluatorWorld(job_of({"when": "silent"}))
    await world.run("checkout", "S")
    await pass_time(world, 4)
    world.restart()
    await pass_time(world, 4)
    assert world.alert("checkout", "silent").is_firing
    assert world.alert("checkout", "silent").number == 1


async def test_what_was_due_before_a_start_has_time_until_catch_up_has_run() -> None:
    world = EvaluatorWorld(job_of({"when": "silent"}))
    await world.run("checkout", "S")
    world.clock.move(7200)
    world.restart()
    await world.tick()
    assert not world.alerts
    await pass_time(world, 3)
    assert world.alert("checkout", "silent").failing_since == START + MINUTE


async def test_processes_that_restart_often_find_a_daily_job_silent() -> None:
    world = EvaluatorWorld(entry("checkout", "every 24h", alerts=[{"when": "silent"}]))
    world.store_run(run_of("checkout", 0, "S"))
    for _ in range(10):
        world.restart()
        await pass_time(world, 6 * 60, 1800)
    assert world.alert("checkout", "silent").is_firing


async def test_a_job_that_another_process_executes_is_not_silent() -> None:
    world = EvaluatorWorld(job_of({"when": "silent"}), processes=2)
    await world.tick()
    for _ in range(15):
        await world.run("checkout", "S", process=1)
        await world.tick(0, process=0)
        assert not world.alerts


async def test_a_job_that_is_added_later_is_watched_from_then_on() -> None:
    world = EvaluatorWorld()
    await pass_time(world, 60, 600)
    world.replace(job_of({"when": "silent"}))
    await world.tick(1)
    assert not world.alerts
    await pass_time(world, 3)
    assert world.alert("checkout", "silent").is_firing


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_pause_is_no_silence(restarts: bool) -> None:
    world = EvaluatorWorld(job_of({"when": "silent"}))
    await world.run("checkout", "S")
    await world.process.pauses.set_pause(Pause("checkout", world.clock.now()))
    await pass_time(world, 10)
    assert not world.alerts
    await world.process.pauses.resume("checkout", world.clock.now())
    resumed = world.clock.now()
    if restarts:
        world.restart()
    await pass_time(world, 1)
    assert not world.alerts
    await pass_time(world, 3)
    since = world.alert("checkout", "silent").failing_since
    assert since is not None
    assert since > resumed


async def test_a_rate_fires_when_good_runs_leave_the_window() -> None:
    rule = {"when": {"success_rate_below": "60%", "window": "10m", "minimum_runs": 2}}
    world = EvaluatorWorld(job_of(rule))
    await world.run("checkout", "SSSSSFF")
    assert not world.alerts
    await pass_time(world, 6)
    assert world.alert("checkout", "success_rate_below").is_firing


@pytest.mark.parametrize(
    ("rule", "name", "bad", "good"),
    [
        ({"when": "degraded", "open_after": 1}, "degraded", {"letter": "D"}, {"letter": "S"}),
        (
            {"when": {"lateness_above": "30s"}},
            "lateness_above",
            {"letter": "S", "started_at": START + 2 * MINUTE},
            {"letter": "S"},
        ),
        (
            {"when": "heartbeat_missed"},
            "heartbeat_missed",
            {"letter": "F", "error": ErrorClass.HEARTBEAT_MISSING},
            {"letter": "F"},
        ),
        (
            {"when": {"error_share_above": "10%", "errors": ["timeout"], "window": "30s", "minimum_runs": 1}},
            "error_share_above",
            {"letter": "F", "error": ErrorClass.CONNECT_TIMEOUT},
            {"letter": "F"},
        ),
        (
            {"when": {"response_time_above": "800ms", "window": "30s", "minimum_runs": 1}},
            "response_time_above",
            {"letter": "S", "response_ms": 900.0},
            {"letter": "S"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_each_condition_about_runs_opens_and_closes(rule: Any, name: str, bad: Any, good: Any) -> None:
    world = EvaluatorWorld(job_of(rule))
    await world.tick()
    await world.finish(run_of("checkout", 1, **bad))
    assert world.alert("checkout", name).is_firing
    await world.finish(run_of("checkout", 3, **good))
    assert not world.alert("checkout", name).is_active


async def test_an_open_circuit_fires_after_its_time_and_resolves_when_it_closes() -> None:
    world = EvaluatorWorld(job_of({"when": "circuit_open", "for": "2m"}, circuit={"consecutive_failures": 3}))
    stored = world.process.stored.circuits
    key = world.catalog.get_job("checkout").job.circuit_key
    assert key is not None
    opened = dump_state(CircuitState(CircuitCondition.OPEN, since=START, opened_at=START))
    _, etag = await stored.load(key)
    assert await stored.replace(key, opened, etag)
    await world.run("checkout", "R")
    assert world.alert("checkout", "circuit_open").status is AlertStatus.PENDING
    await pass_time(world, 3)
    assert world.alert("checkout", "circuit_open").is_firing

    _, etag = await stored.load(key)
    assert await stored.replace(key, dump_state(CircuitState()), etag)
    await pass_time(world, 1.5)
    assert not world.alert("checkout", "circuit_open").is_active


async def test_dead_letters_fire_without_a_run_and_resolve_when_they_are_old() -> None:
    world = EvaluatorWorld(job_of({"when": {"dead_letters_above": 0, "window": "10m"}}))
    await world.tick()
    world.clock.move(1)
    ticket = Ticket.scheduled("checkout", START, "g")
    letter = DeadLetter.from_run(run_of("checkout", 0, "F"), ticket, world.catalog.get_job("checkout").job)
    await world.process.stored.dead_letters.add(letter)
    await pass_time(world, 1.5)
    assert world.alert("checkout", "dead_letters_above").failing_since == letter.at
    await pass_time(world, 11)
    assert not world.alert("checkout", "dead_letters_above").is_active


async def test_a_secret_that_expires_fires_without_a_run_and_a_healthy_one_reads_no_runs() -> None:
    world = EvaluatorWorld(job_of({"when": {"secret_days_below": 14}}, {"open_after": 3}))
    world.secrets["key"] = START + timedelta(days=14, minutes=3)
    await pass_time(world, 2)
    assert not world.alerts
    assert world.runs.reads == 0
    await pass_time(world, 3)
    assert world.alert("checkout", "secret_days_below").is_firing
    world.secrets["key"] = START + timedelta(days=90)
    await pass_time(world, 2)
    assert not world.alert("checkout", "secret_days_below").is_active


async def test_a_blind_run_fires_until_the_self_checks_find_nothing() -> None:
    world = EvaluatorWorld(job_of())
    world.checks.cause = "the resolver does not answer"
    await world.run("checkout", "B")
    assert world.alert(*BLIND).is_firing
    assert world.alert(*BLIND).evidence.startswith("the resolver does not answer")
    await pass_time(world, 1)
    assert world.alert(*BLIND).is_firing
    world.checks.cause = ""
    await pass_time(world, 0.5)
    assert not world.alert(*BLIND).is_active


async def test_a_blind_run_that_cannot_be_stored_is_recorded_by_the_tick() -> None:
    world = EvaluatorWorld(job_of())
    await world.tick()
    world.checks.cause = "no egress"
    world.process.store.breaks_after = 0
    with pytest.raises(Exception, match="away"):
        await world.run("checkout", "B")
    world.process.store.breaks_after = None
    await world.tick(1)
    assert world.alert(*BLIND).is_firing


async def test_another_process_that_sees_more_does_not_end_blindness_at_once() -> None:
    world = EvaluatorWorld(job_of(), processes=2)
    await world.tick()
    world.checks.cause = "no egress"
    await world.run("checkout", "B", process=0)
    world.checks.cause = ""
    await world.tick(11, process=1)
    assert world.alert(*BLIND).is_firing
    await world.tick(91, process=1)
    assert not world.alert(*BLIND).is_active


async def test_a_clock_that_was_set_back_is_blindness_until_another_clock_agrees() -> None:
    world = EvaluatorWorld(job_of())
    await world.tick()
    real = world.clock.monotonic
    world.clock.monotonic = lambda: real() + 600 + world.minute  # type: ignore[method-assign]
    world.checks.is_clock_right = False
    await world.tick(1)
    assert world.alert(*BLIND).evidence.startswith("the clock of the scheduler was set back by 10 min")
    await pass_time(world, 2)
    assert world.alert(*BLIND).is_firing
    world.checks.is_clock_right = True
    await pass_time(world, 1)
    assert not world.alert(*BLIND).is_active
