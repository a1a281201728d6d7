"""What people do with an incident."""

from __future__ import annotations

from dataclasses import replace

import pytest

from jobs.incidents.engine.announcing import (
    ActionRefused,
    acknowledge,
    add_note,
    resolve_by_hand,
    snooze,
    unacknowledge,
)
from jobs.incidents.engine.facts import AlertPolicy, EscalationStep, IncidentStep
from jobs.incidents.headline import list_still_failing
from jobs.incidents.values import AlertKey, Incident
from tests.jobs.incidents.world import HOUR, MINUTE, START, World


def failing_world(policy: AlertPolicy | None = None) -> World:
    world = World(policy=policy or AlertPolicy(remind_every=HOUR, escalation=(EscalationStep(2 * HOUR, ("boss",)),)))
    world.fail("checkout")
    world.wait(MINUTE)
    return world


def incident_of(world: World) -> Incident:
    (incident,) = world.incidents.values()
    return incident


def test_an_acknowledged_incident_is_neither_reminded_of_nor_escalated() -> None:
    world = failing_world()
    world.store(acknowledge(incident_of(world), "ada", world.now))
    world.wait(5 * HOUR)
    assert world.sent_kinds() == {"opened": 1, "acknowledged": 1}
    assert world.transitions[-1].text == "acknowledged by ada"
    with pytest.raises(ActionRefused, match="before"):
        acknowledge(incident_of(world), "ada", world.now)


def test_a_snooze_ends() -> None:
    world = failing_world()
    world.store(snooze(incident_of(world), "ada", world.now, world.now + 4 * HOUR, "next deployment"))
    world.wait(4 * HOUR - MINUTE)
    assert world.sent_kinds() == {"opened": 1, "snoozed": 1}
    world.wait(2 * MINUTE)
    assert world.sent_kinds() == {"opened": 1, "snoozed": 1, "escalated": 1}
    with pytest.raises(ActionRefused, match="later time"):
        snooze(incident_of(world), "ada", world.now, world.now)


def test_what_was_due_meanwhile_is_sent_when_an_acknowledgement_is_withdrawn() -> None:
    world, untouched = failing_world(), failing_world()
    world.store(acknowledge(incident_of(world), "ada", world.now))
    world.wait(3 * HOUR)
    world.store(unacknowledge(incident_of(world), "bob", world.now, "back to you"))
    assert world.transitions[-1].text == "the acknowledgement by ada was withdrawn by bob: back to you"
    assert not incident_of(world).is_handled
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1, "acknowledged": 1, "unacknowledged": 1, "escalated": 1}

    untouched.wait(3 * HOUR + MINUTE)
    for each in (world, untouched):
        each.wait(2 * HOUR)
    assert incident_of(world).escalations == incident_of(untouched).escalations == 1
    assert world.sent_kinds()["reminded"] == 4, "each hour, by mail and to the boss"
    with pytest.raises(ActionRefused, match="neither acknowledged nor snoozed"):
        unacknowledge(incident_of(world), "ada", world.now)


def test_a_snooze_can_be_withdrawn_before_it_ends() -> None:
    world = failing_world()
    world.store(snooze(incident_of(world), "ada", world.now, world.now + 4 * HOUR))
    world.wait(2 * HOUR)
    world.store(unacknowledge(incident_of(world), "ada", world.now))
    assert world.transitions[-1].text == "the snooze by ada was withdrawn by ada"
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1, "snoozed": 1, "unacknowledged": 1, "escalated": 1}


def test_an_incident_that_is_resolved_by_hand_opens_when_its_alert_fires_anew() -> None:
    world = failing_world()
    world.store(resolve_by_hand(incident_of(world), "ada", world.now, "known"))
    world.wait(HOUR)
    assert world.sent_kinds() == {"opened": 1, "resolved": 1}
    assert (incident_of(world).resolved_by, world.transitions[-1].actor) == ("ada", "ada")

    world.recover("checkout")
    world.wait(HOUR)
    world.fail("checkout")
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 2, "resolved": 1}


def test_notes_are_sent_in_order() -> None:
    world = failing_world()
    world.store(add_note(incident_of(world), "ada", world.now, "the disk is full"))
    world.store(add_note(incident_of(world), "bob", world.now, "cleaned"))
    assert [each.number for each in world.sent] == [1, 2, 3]
    assert world.transitions[-1].text == "cleaned"


def test_a_resolved_incident_cannot_be_changed() -> None:
    world = failing_world()
    world.recover("checkout")
    world.wait(MINUTE)
    incident = incident_of(world)
    refused: list[IncidentStep] = []
    for change in (acknowledge, unacknowledge, resolve_by_hand):
        with pytest.raises(ActionRefused, match="was resolved at 2026-03-01 03:01:00 UTC"):
            refused.append(change(incident, "ada", START))
    for note in ("", "x" * 2001):
        with pytest.raises(ActionRefused):
            refused.append(add_note(failing_world().incidents.popitem()[1], "ada", START, note))
    assert not refused


def test_what_recovers_in_the_instant_of_a_resolution_by_hand_is_not_among_what_still_fails() -> None:
    world = failing_world()
    (checkout,) = incident_of(world).members
    router = replace(checkout, key=AlertKey("router", "failed"), resolved_at=world.now)
    incident = replace(incident_of(world), members=(router, checkout))

    resolved = resolve_by_hand(incident, "ada", world.now).incident

    assert [each.key.subject for each in list_still_failing(resolved)] == ["checkout"]
