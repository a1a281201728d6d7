"""When passes run, and what a failure of the store or another process changes."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from jobs.incidents.engine.announcing import ActionRefused, acknowledge, add_note, resolve_by_hand
from scheduler.alerting.engine_runner import IDLE_INTERVAL, IncidentChanges, UnknownIncident
from scheduler.stores.alerting.engine import EngineRows
from scheduler.stores.alerting.incident_log import IncidentLog
from tests.jobs.incidents.world import HOUR, MINUTE, World
from tests.scheduler.alerting.engine_world import EngineWorld, InterleavedStore, WorldFacts

SECONDS_15 = timedelta(seconds=15)


def reads(engine: EngineWorld, number: int = 0) -> int:
    return store_of(engine, number).reads


def store_of(engine: EngineWorld, number: int = 0) -> InterleavedStore:
    store = engine.runners[number]._rows._store
    assert isinstance(store, InterleavedStore)
    return store


def changes_of(engine: EngineWorld) -> IncidentChanges:
    store = InterleavedStore(engine.data)
    return IncidentChanges(EngineRows(store), IncidentLog(store), engine.runners[0], engine.clock)


async def test_requests_are_one_pass_and_without_one_a_pass_runs_after_the_idle_interval() -> None:
    engine = EngineWorld(World(), processes=1)
    (runner,) = engine.runners
    await runner.tick()
    first = reads(engine)
    for _ in range(5):
        runner.request_pass()
    await runner.tick()
    await runner.tick()
    assert reads(engine) - first == first - 1, "known incidents are not read again"
    before = reads(engine)
    engine.clock.move(IDLE_INTERVAL)
    await runner.tick()
    assert reads(engine) > before


async def test_what_becomes_due_is_done_by_the_tick() -> None:
    engine = EngineWorld(World(), processes=1)
    (runner,) = engine.runners
    await engine.judge("checkout", True)
    runner.request_pass()
    await runner.tick()
    assert runner.due_at == engine.clock.now() + timedelta(seconds=10)
    engine.clock.move(9)
    await runner.tick()
    assert not await engine.incidents()
    engine.clock.move(1)
    await runner.tick()
    assert len(await engine.incidents()) == 1


async def test_an_unavailable_store_is_retried_later_and_reported() -> None:
    engine = EngineWorld(World(), processes=1)
    (runner,) = engine.runners
    await engine.judge("checkout", True)
    store_of(engine).breaks_after = 0
    await runner.tick()
    assert "away" in runner.error
    store_of(engine).breaks_after = None
    await runner.tick()
    assert runner.error, "it waits before it tries again"
    await engine.wait(SECONDS_15)
    assert runner.error == ""
    assert len(await engine.incidents()) == 1


async def test_a_closed_runner_has_finished_its_pass_and_runs_no_other() -> None:
    engine = EngineWorld(World(), processes=1)
    (runner,) = engine.runners
    await engine.judge("checkout", True)
    engine.clock.move(15)
    running = asyncio.create_task(runner.tick())
    await asyncio.sleep(0)
    await runner.aclose()
    assert running.done() or await running is None
    assert len(await engine.incidents()) == 1
    before = reads(engine)
    runner.request_pass()
    await runner.tick()
    assert reads(engine) == before


async def test_the_delivery_is_woken_for_the_channels_of_a_pass() -> None:
    from scheduler.alerting.engine_runner import EngineRunner

    engine = EngineWorld(World())
    woken: list[set[str]] = []
    rows = EngineRows(InterleavedStore(engine.data))
    runner = EngineRunner(
        rows, WorldFacts(engine.world), engine.clock, on_notifications=lambda each: woken.append(set(each))
    )
    await runner.run_pass()
    await engine.judge("checkout", True)
    engine.clock.move(15)
    await runner.run_pass()
    await runner.run_pass()
    assert woken == [{"mail"}]
    assert runner.open_by_severity == {"down": 1}


async def test_an_acknowledgement_and_a_pass_of_other_processes_are_both_stored() -> None:
    engine = EngineWorld(World())
    await engine.judge("checkout", True)
    await engine.wait(SECONDS_15)
    (incident,) = await engine.incidents()
    await engine.judge("checkout", False)
    changes = changes_of(engine)
    await asyncio.gather(
        changes.apply(incident.id, lambda found, now: add_note(found, "ada", now, "disk full")),
        *(runner.run_pass() for runner in engine.runners),
        return_exceptions=True,
    )
    transitions = [(each.number, str(each.kind)) for each in await engine.transitions(incident)]
    assert transitions in ([(1, "opened"), (2, "note_added"), (3, "resolved")], [(1, "opened"), (2, "resolved")])


async def test_an_unknown_or_resolved_incident_cannot_be_changed() -> None:
    engine = EngineWorld(World())
    await engine.judge("checkout", True)
    await engine.wait(SECONDS_15)
    (incident,) = await engine.incidents()
    await engine.judge("checkout", False)
    await engine.wait(HOUR, 60)
    changes = changes_of(engine)
    with pytest.raises(UnknownIncident, match="list the incidents"):
        await changes.apply("0000000000000-00", lambda found, now: acknowledge(found, "ada", now))
    with pytest.raises(ActionRefused, match="was resolved"):
        await changes.apply(incident.id, lambda found, now: acknowledge(found, "ada", now))


async def test_an_incident_resolved_by_hand_stays_resolved_while_its_alert_fires() -> None:
    engine = EngineWorld(World())
    await engine.judge("checkout", True)
    await engine.wait(SECONDS_15)
    (incident,) = await engine.incidents()
    await changes_of(engine).apply(incident.id, lambda found, now: resolve_by_hand(found, "ada", now))
    await engine.wait(HOUR, 60)
    assert [each.is_open for each in await engine.incidents()] == [False]
    await engine.judge("checkout", False)
    await engine.wait(MINUTE)
    await engine.judge("checkout", True)
    await engine.wait(MINUTE)
    assert [each.is_open for each in await engine.incidents()] == [True, False]
    assert [each.is_open for each in (await EngineRows(InterleavedStore(engine.data)).read()).incidents] == [True]


async def test_an_alert_of_a_process_that_ended_before_its_pass_is_found_within_the_idle_interval() -> None:
    engine = EngineWorld(World(), processes=1)
    (runner,) = engine.runners
    await runner.tick()
    await engine.judge("checkout", True)
    engine.clock.move(IDLE_INTERVAL - 1)
    await runner.tick()
    assert not runner.open_by_severity
    engine.clock.move(1)
    await runner.tick()
    assert runner.open_by_severity == {"down": 1}
