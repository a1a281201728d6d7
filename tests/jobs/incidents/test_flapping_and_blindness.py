"""Incidents that flap, and alerts that fire while the scheduler itself is blind."""

from __future__ import annotations

from datetime import timedelta

from jobs.incidents.engine.facts import AlertPolicy, FlappingLimit
from tests.jobs.incidents.world import HOUR, MINUTE, SECOND, World

FLAPPING = AlertPolicy(flapping=FlappingLimit(changes=4, within=HOUR))
STEP = 2 * MINUTE


def flap(world: World, times: int, step: timedelta = STEP) -> None:
    for _ in range(times):
        world.fail("checkout")
        world.wait(step)
        world.recover("checkout")
        world.wait(step)


def test_an_incident_that_flaps_is_announced_as_such_once_and_resolved_when_it_is_stable() -> None:
    world = World(policy=FLAPPING)
    flap(world, 10)
    assert [str(each.kind) for each in world.sent] == ["opened", "resolved", "reopened", "flapping"]
    (incident,) = world.incidents.values()
    assert (incident.is_open, incident.is_flapping, len(incident.members)) == (True, True, 1)

    world.wait(20 * MINUTE)
    assert incident.is_open
    world.wait(10 * MINUTE)
    assert [str(each.kind) for each in world.sent][4:] == ["resolved"]
    (incident,) = world.incidents.values()
    assert not incident.is_open


def test_an_incident_that_flapped_and_then_fails_for_long_stays_open_without_another_notification() -> None:
    world = World(policy=FLAPPING)
    flap(world, 3)
    world.fail("checkout")
    world.wait(HOUR)
    (incident,) = world.incidents.values()
    assert (incident.is_open, incident.is_flapping) == (True, False)
    assert world.codes()["stable"] == 1
    assert world.sent_kinds()["flapping"] == 1
    world.recover("checkout")
    world.wait(MINUTE)
    assert [str(each.kind) for each in world.sent][-2:] == ["flapping", "resolved"]


def test_flapping_under_a_silence_sends_nothing() -> None:
    from tests.jobs.incidents.test_passing import SILENCE

    world = World(policy=FLAPPING)
    world.suppressions["checkout"] = SILENCE
    flap(world, 4)
    world.wait(HOUR)
    assert not world.sent


def test_that_an_announced_incident_flaps_is_not_sent_inside_of_a_silence() -> None:
    from tests.jobs.incidents.test_passing import SILENCE

    world = World(policy=FLAPPING)
    flap(world, 1)
    world.fail("checkout")
    world.wait(STEP)
    world.suppressions["checkout"] = SILENCE
    world.recover("checkout")
    world.wait(STEP)
    (incident,) = world.incidents.values()
    assert incident.is_flapping
    assert [str(each.kind) for each in world.sent] == ["opened", "resolved", "reopened"]
    assert world.codes()["held_back_silence"] == 1


def test_an_alert_that_fires_again_joins_its_incident_that_others_keep_open() -> None:
    world = World()
    world.causes = {"a": ["host x"], "b": ["host x"]}
    world.fail("a", "b")
    world.wait(MINUTE)
    world.recover("a")
    world.wait(10 * MINUTE)
    world.fail("a")
    world.wait(MINUTE)
    (incident,) = world.incidents.values()
    assert [member.key.subject for member in incident.open_members] == ["b", "a"]
    assert world.sent_kinds() == {"opened": 1, "joined": 1}


def test_alerts_that_join_in_one_pass_are_one_notification() -> None:
    world = World()
    subjects = [f"job-{number}" for number in range(20)]
    world.causes = {each: ["host x"] for each in subjects}
    world.fail(subjects[0])
    world.wait(MINUTE)
    world.fail(*subjects[1:])
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1, "joined": 1}


def blind_world() -> World:
    world = World()
    world.policies["scheduler"] = AlertPolicy(severity="blind", rank=30)
    return world


def test_while_the_scheduler_is_blind_there_is_one_incident_about_it() -> None:
    world = blind_world()
    world.fail("checkout")
    world.wait(5 * SECOND)
    world.fail("scheduler")
    world.fail("orders")
    world.wait(MINUTE)
    assert [world.incidents[each.incident].lead.subject for each in world.sent] == ["scheduler"]
    assert world.codes()["held_back_blind"] == 2

    world.recover("scheduler")
    world.wait(MINUTE)
    assert len(world.sent) == 1, "the jobs were not checked again yet"
    world.recover("checkout", "orders")
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1, "resolved": 1}


def test_a_job_that_still_fails_after_blindness_opens_when_it_was_checked() -> None:
    world = blind_world()
    world.fail("scheduler")
    world.fail("checkout", "rare")
    world.wait(MINUTE)
    world.recover("scheduler")
    world.wait(MINUTE)
    world.fail("checkout")
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 2}
    world.wait(5 * MINUTE)
    assert world.sent_kinds() == {"opened": 3, "resolved": 1}, "a job that is checked rarely waits 5 minutes"


def test_an_alert_from_before_blindness_is_announced() -> None:
    world = blind_world()
    world.fail("checkout")
    world.wait(10 * MINUTE)
    world.fail("scheduler")
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 2}
