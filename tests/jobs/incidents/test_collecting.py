"""Alerts that share a cause are collected: before an incident opens, and in one message when they join it later."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.incidents.engine.announcing import resolve_by_hand
from jobs.incidents.engine.facts import AlertPolicy
from jobs.incidents.values import Incident, Suppression, SuppressionKind
from jobs.notifications.port import Message
from jobs.notifications.templates.incident_message import MessageDetails, make_message
from tests.jobs.incidents.world import HOUR, MINUTE, SECOND, START, World

HOST = ["host x.example"]
JOBS = ("a", "b", "c", "d", "e")


def world_of(*jobs: str, parents: dict[str, list[str]] | None = None) -> World:
    world = World(parents=parents)
    world.causes = dict.fromkeys(jobs, HOST)
    return world


def kinds_of(world: World) -> list[str]:
    return [str(each.kind) for each in world.sent]


def members_of(incident: Incident) -> list[str]:
    return [each.key.subject for each in incident.members]


def messages_of(world: World) -> Sequence[Message]:
    transitions = {(each.incident, each.number): each for each in world.transitions}
    return [
        make_message(world.incidents[each.incident], transitions[each.incident, each.number], each, MessageDetails())
        for each in world.sent
    ]


def test_alerts_that_share_a_cause_with_a_ready_one_are_in_its_opening() -> None:
    world = world_of(*JOBS)
    for job in JOBS:
        world.fail(job)
        world.wait(2 * SECOND)
    assert kinds_of(world) == ["opened"]
    (incident,) = world.incidents.values()
    assert members_of(incident) == list(JOBS)


def test_an_alert_of_another_cause_waits_for_itself() -> None:
    world = world_of("a")
    world.fail("a")
    world.wait(5 * SECOND)
    world.fail("b")
    world.wait(5 * SECOND)
    assert [members_of(each) for each in world.incidents.values()] == [["a"]]
    world.wait(5 * SECOND)
    assert [members_of(each) for each in world.incidents.values()] == [["a"], ["b"]]


def test_an_alert_joins_the_open_incident_of_its_cause_at_once() -> None:
    world = world_of("a", "b")
    world.fail("a")
    world.wait(11 * SECOND)
    world.fail("b")
    world.run_pass()
    (incident,) = world.incidents.values()
    assert members_of(incident) == ["a", "b"]
    assert kinds_of(world) == ["opened"], "the message about it collects others first"


def test_alerts_that_join_within_the_group_wait_are_one_message_that_names_them() -> None:
    world = world_of(*JOBS)
    world.fail("a")
    world.wait(11 * SECOND)
    for job in ("b", "c", "d", "e"):
        world.fail(job)
        world.wait(2 * SECOND)
    world.wait(10 * SECOND)
    assert kinds_of(world) == ["opened", "joined"]
    message = messages_of(world)[-1]
    assert message.title == "DOWN a and 4 more on x.example since 02:59: b, c, d and 1 more fail too"
    assert "b, c and d joined shortly before." in message.text
    assert world.codes()["announced_joined"] == 1


def test_alerts_that_join_later_are_a_further_message() -> None:
    world = world_of("a", "b", "c")
    world.fail("a")
    world.wait(11 * SECOND)
    world.fail("b")
    world.wait(30 * SECOND)
    world.fail("c")
    world.wait(30 * SECOND)
    assert kinds_of(world) == ["opened", "joined", "joined"]
    assert messages_of(world)[-1].title.endswith(": c fails too")


def test_an_alert_that_joins_and_recovers_within_the_group_wait_is_no_message() -> None:
    world = world_of("a", "b")
    world.fail("a")
    world.wait(11 * SECOND)
    world.fail("b")
    world.wait(5 * SECOND)
    world.recover("b")
    world.wait(MINUTE)
    assert kinds_of(world) == ["opened"]
    assert world.codes()["moot_joined"] == 1


def test_a_higher_severity_is_a_message_at_once_with_what_has_joined_before() -> None:
    world = world_of("a", "b", "c")
    world.policies["c"] = AlertPolicy("blocker", 40)
    world.fail("a")
    world.wait(11 * SECOND)
    world.fail("b")
    world.wait(3 * SECOND)
    world.fail("c")
    world.run_pass()
    assert kinds_of(world) == ["opened", "raised"]
    assert "b joined shortly before." in messages_of(world)[-1].text
    world.wait(MINUTE)
    assert kinds_of(world) == ["opened", "raised"]


def test_a_resolution_replaces_the_message_about_what_joined() -> None:
    world = world_of("a", "b")
    world.fail("a")
    world.wait(11 * SECOND)
    world.fail("b")
    world.wait(2 * SECOND)
    world.recover("a", "b")
    world.wait(MINUTE)
    assert kinds_of(world) == ["opened", "resolved"]


def test_a_message_about_what_joined_before_a_start_waits_for_the_first_runs() -> None:
    world = world_of("a", "b")
    world.fail("a")
    world.wait(11 * SECOND)
    world.fail("b")
    world.wait(2 * SECOND)
    world.now += HOUR
    world.started = world.now
    world.wait(30 * SECOND)
    assert kinds_of(world) == ["opened"]
    world.recover("a", "b")
    world.wait(MINUTE)
    assert kinds_of(world) == ["opened", "resolved"]


def test_an_alert_that_waits_for_a_parent_is_not_collected() -> None:
    world = world_of("a", "b", parents={"b": ["router"]})
    world.fail("a", "b")
    world.wait(MINUTE)
    assert [members_of(each) for each in world.incidents.values()] == [["a"]]
    world.fail("router")
    world.wait(MINUTE)
    assert [members_of(each) for each in world.incidents.values()] == [["a"], ["router", "b"]]


def test_alerts_that_have_waited_for_the_same_parent_are_collected() -> None:
    world = World(parents={"a": ["router"], "b": ["router"]})
    world.causes = {"a": ["parent router"], "b": ["parent router"]}
    world.fail("a")
    world.wait(MINUTE)
    world.fail("b")
    world.wait(30 * SECOND)
    assert [members_of(each) for each in world.incidents.values()] == [["a", "b"]]
    assert kinds_of(world) == ["opened"]


def test_alerts_that_have_waited_for_different_parents_are_collected() -> None:
    world = world_of("a", "b", parents={"a": ["router"], "b": ["switch"]})
    world.fail("a", "b")
    world.wait(91 * SECOND)
    assert [members_of(each) for each in world.incidents.values()] == [["a", "b"]]


def test_a_silenced_alert_does_not_hold_back_those_that_are_collected_with_it() -> None:
    world = world_of("a", "b")
    world.suppressions["a"] = Suppression(SuppressionKind.SILENCE, "deploy", until=START + HOUR)
    world.fail("a")
    world.wait(5 * SECOND)
    world.fail("b")
    world.wait(5 * SECOND)
    assert kinds_of(world) == ["opened"]


def test_an_alert_that_a_person_resolved_does_not_join_again_before_it_has_recovered() -> None:
    world = world_of("a", "b")
    world.fail("a", "b")
    world.wait(11 * SECOND)
    (incident,) = world.incidents.values()
    world.store(resolve_by_hand(incident, "anna", world.now))
    world.recover("a")
    world.wait(MINUTE)
    world.fail("a")
    world.wait(MINUTE)
    (incident,) = world.incidents.values()
    assert [each.key.subject for each in incident.open_members] == ["a"]
    world.recover("a")
    world.wait(MINUTE)
    assert kinds_of(world) == ["opened", "resolved", "reopened", "resolved"]
