"""What docs/alerting.md decides about times: flapping, reopening, parents that fail later, windows over a gap."""

from __future__ import annotations

from datetime import timedelta

from jobs.incidents.engine.facts import AlertPolicy, FlappingLimit
from jobs.incidents.values import Suppression, SuppressionKind
from tests.jobs.incidents.world import HOUR, MINUTE, SECOND, START, World

FLAPPING = AlertPolicy(flapping=FlappingLimit(changes=4, within=HOUR))


def flap(world: World) -> None:
    """Let checkout flap: it is announced twice, and has recovered at the end."""
    for _ in range(2):
        world.fail("checkout")
        world.wait(MINUTE)
        world.recover("checkout")
        world.wait(MINUTE)
    (incident,) = world.incidents.values()
    assert incident.is_flapping


def kinds_of(world: World) -> list[str]:
    return [str(each.kind) for each in world.sent]


def test_a_flapping_incident_is_stable_half_of_its_time_after_the_last_change() -> None:
    world = World(policy=FLAPPING)
    flap(world)
    world.wait(29 * MINUTE - SECOND)
    assert kinds_of(world)[-1] == "flapping"
    world.wait(2 * SECOND)
    assert kinds_of(world)[-1] == "resolved"


def test_each_further_change_postpones_when_a_flapping_incident_is_stable() -> None:
    world = World(policy=FLAPPING)
    flap(world)
    world.wait(20 * MINUTE)
    world.fail("checkout")
    world.wait(MINUTE)
    world.recover("checkout")
    world.wait(29 * MINUTE)
    assert kinds_of(world)[-1] == "flapping"
    world.wait(2 * MINUTE)
    assert kinds_of(world)[-1] == "resolved"


def test_reopening_counts_from_the_recovery_until_the_alert_fires_again() -> None:
    world = World(policy=AlertPolicy(reopen_within=10 * MINUTE))
    world.fail("checkout")
    world.wait(MINUTE)
    world.recover("checkout")
    world.wait(10 * MINUTE)
    world.fail("checkout")
    world.wait(MINUTE)
    assert kinds_of(world) == ["opened", "resolved", "reopened"], "the group wait does not count"


def test_an_alert_that_fires_after_the_time_to_reopen_opens_an_incident() -> None:
    world = World(policy=AlertPolicy(reopen_within=10 * MINUTE))
    world.fail("checkout")
    world.wait(MINUTE)
    world.recover("checkout")
    world.wait(10 * MINUTE + SECOND)
    world.fail("checkout")
    world.wait(MINUTE)
    assert kinds_of(world) == ["opened", "resolved", "opened"]


def test_an_incident_that_was_stable_reopens_within_the_time_after_its_resolution() -> None:
    world = World(policy=AlertPolicy(reopen_within=10 * MINUTE, flapping=FLAPPING.flapping))
    flap(world)
    world.wait(30 * MINUTE)
    assert kinds_of(world)[-1] == "resolved"
    world.wait(5 * MINUTE)
    world.fail("checkout")
    world.wait(MINUTE)
    assert (len(world.incidents), kinds_of(world)[-1]) == (1, "reopened")


def test_a_child_whose_parent_fails_within_its_group_wait_is_behind_it() -> None:
    world = World(parents={"checkout": ["router"]})
    world.checked["router"] = START
    world.fail("checkout")
    world.wait(8 * SECOND)
    world.fail("router")
    world.wait(MINUTE)
    (incident,) = world.incidents.values()
    assert [each.key.subject for each in incident.members] == ["router", "checkout"]
    assert kinds_of(world) == ["opened"]


def test_a_child_that_was_announced_before_its_parent_failed_is_resolved_by_a_message() -> None:
    world = World(parents={"checkout": ["router"]}, policy=AlertPolicy(remind_every=HOUR))
    world.checked["router"] = START
    world.fail("checkout")
    world.wait(MINUTE)
    world.fail("router")
    world.wait(90 * MINUTE)
    world.recover("checkout")
    world.wait(MINUTE)
    leads = {each.id: each.lead.subject for each in world.incidents.values()}
    assert [(leads[each.incident], str(each.kind)) for each in world.sent] == [
        ("checkout", "opened"),
        ("router", "opened"),
        ("router", "reminded"),
        ("checkout", "resolved"),
    ]


def windowed(*, recovers: bool) -> World:
    """A window that ends while the scheduler does not run, and an alert that fired inside."""
    world = World()
    world.suppressions["checkout"] = Suppression(SuppressionKind.WINDOW, "patching", until=START + HOUR)
    world.fail("checkout")
    world.wait(30 * MINUTE)
    world.now += HOUR
    world.started = world.now
    world.suppressions.clear()
    world.wait(30 * SECOND)
    assert not world.sent, "the first run of the job can show that it has recovered"
    if recovers:
        world.recover("checkout")
    else:
        world.fail("checkout")
    world.wait(timedelta(minutes=5))
    return world


def test_what_recovered_while_a_window_ended_without_the_scheduler_is_not_announced() -> None:
    world = windowed(recovers=True)
    assert not world.sent
    assert world.codes()["resolved_unannounced"] == 1


def test_what_still_fails_after_a_window_that_ended_without_the_scheduler_is_announced() -> None:
    assert kinds_of(windowed(recovers=False)) == ["opened"]
