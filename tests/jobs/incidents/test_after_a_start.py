"""After a start of the scheduler, what is overdue waits for the first run of each job of the incident."""

from __future__ import annotations

from jobs.incidents.engine.facts import AlertPolicy, EscalationStep, FlappingLimit
from tests.jobs.incidents.world import FIRST_RUN, HOUR, MINUTE, SECOND, World

POLICY = AlertPolicy(remind_every=10 * MINUTE, escalation=(EscalationStep(15 * MINUTE, ("phone",)),))


def open_world(policy: AlertPolicy = POLICY) -> World:
    """An incident was announced; the scheduler did not run for an hour, and has started again."""
    world = World(policy=policy)
    world.fail("checkout")
    world.wait(MINUTE)
    restart(world)
    return world


def restart(world: World) -> None:
    world.now += HOUR
    world.started = world.now
    world.sent.clear()


def test_nothing_overdue_is_sent_before_the_job_has_run() -> None:
    world = open_world()
    world.wait(FIRST_RUN - SECOND)
    assert not world.sent
    assert world.codes()["held_back_start"] == 1, "once a start"


def test_a_job_that_recovers_in_its_first_run_makes_reminder_and_escalation_moot() -> None:
    world = open_world()
    world.wait(20 * SECOND)
    world.recover("checkout")
    world.wait(MINUTE)
    assert world.sent_kinds() == {"resolved": 1}
    assert world.codes()["moot_reminder"] == world.codes()["moot_escalation"] == 1
    moot = next(each for each in world.decisions if each.code == "moot_escalation")
    assert moot.text == "the escalation that was due at 03:15:10 UTC is not sent"


def test_a_job_that_fails_again_in_its_first_run_is_escalated() -> None:
    world = open_world()
    world.wait(20 * SECOND)
    world.fail("checkout")
    world.wait(SECOND)
    assert world.sent_kinds() == {"escalated": 1}


def test_each_job_of_the_incident_must_have_run() -> None:
    world = World(policy=POLICY)
    world.causes = {"checkout": ["host x"], "payments": ["host x"]}
    world.fail("checkout", "payments")
    world.wait(MINUTE)
    restart(world)
    world.fail("checkout")
    world.wait(20 * SECOND)
    assert not world.sent
    world.fail("payments")
    world.wait(SECOND)
    assert world.sent_kinds() == {"escalated": 1}


def test_a_job_that_never_runs_again_does_not_hold_back_for_ever() -> None:
    world = open_world()
    world.wait(FIRST_RUN + SECOND)
    assert world.sent_kinds() == {"escalated": 1}


def test_an_opening_that_a_window_held_back_until_after_the_start_waits_too() -> None:
    world = World(policy=POLICY)
    world.channels = ()
    world.fail("checkout")
    world.wait(MINUTE)
    restart(world)
    world.channels = ("mail",)
    world.wait(20 * SECOND)
    assert not world.sent
    world.fail("checkout")
    world.wait(20 * SECOND)
    assert world.sent_kinds()["opened"] == 1


def test_an_alert_that_fires_after_the_start_is_announced_at_once() -> None:
    world = World(policy=POLICY)
    world.started = world.now
    world.now += 5 * SECOND
    world.fail("checkout")
    world.wait(15 * SECOND)
    assert world.sent_kinds() == {"opened": 1}


def test_flapping_begins_with_the_first_change_after_each_job_has_run() -> None:
    world = World(policy=AlertPolicy(flapping=FlappingLimit(changes=3, within=2 * HOUR)))
    world.causes = {"checkout": ["host x"], "payments": ["host x"]}
    world.fail("checkout", "payments")
    world.wait(MINUTE)
    world.recover("checkout", "payments")
    world.wait(MINUTE)
    world.fail("checkout")
    world.started = world.now + SECOND
    world.wait(30 * SECOND)
    (incident,) = world.incidents.values()
    assert incident.is_open
    assert not incident.is_flapping
    assert world.codes()["held_back_start"] == 1


def test_a_flapping_incident_whose_jobs_are_well_is_not_reminded_of() -> None:
    world = World(policy=AlertPolicy(remind_every=MINUTE, flapping=FlappingLimit(changes=1, within=HOUR)))
    world.fail("checkout")
    world.wait(30 * SECOND)
    world.recover("checkout")
    world.sent.clear()
    world.wait(20 * MINUTE)
    assert not world.sent_kinds()["reminded"]
