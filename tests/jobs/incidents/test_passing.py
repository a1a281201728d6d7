"""What a pass makes of alerts: one message for one cause, none that is doubled or missing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.incidents.engine.facts import AlertPolicy, EscalationStep
from jobs.incidents.values import Suppression, SuppressionKind
from tests.jobs.incidents.world import HOUR, MINUTE, SECOND, START, World

SILENCE = Suppression(SuppressionKind.SILENCE, "deploy", until=START + HOUR)


def test_a_failing_job_is_announced_once_and_resolved_once() -> None:
    world = World()
    world.fail("checkout")
    world.wait(5 * MINUTE)
    world.recover("checkout")
    world.wait(MINUTE)

    assert [(each.kind, each.channel) for each in world.sent] == [("opened", "mail"), ("resolved", "mail")]
    (incident,) = world.incidents.values()
    assert (incident.is_open, incident.failing_since) == (False, START - MINUTE)


def test_a_job_that_recovers_within_the_group_wait_is_not_announced() -> None:
    world = World()
    world.fail("checkout")
    world.wait(5 * SECOND)
    world.recover("checkout")
    world.wait(MINUTE)
    assert not world.incidents


def test_five_hundred_jobs_behind_one_parent_are_one_message() -> None:
    children = [f"child-{number}" for number in range(499)]
    world = World(parents={child: ["router"] for child in children})
    world.fail(*children)
    world.fail("router")
    world.wait(2 * MINUTE)
    assert world.sent_kinds() == {"opened": 1}
    assert world.codes()["held_back_parent"] == 499

    world.recover("router", *children[3:])
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1}, "the others must be checked again"
    world.fail(*children[:3])
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 4, "resolved": 1}
    assert world.codes()["recovered_behind_parent"] == 496

    world.recover(*children)
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 4, "resolved": 4}
    assert not [each for each in world.incidents.values() if each.is_open]


def test_children_that_are_checked_after_their_parent_recovered_leave_silently() -> None:
    children = [f"child-{number}" for number in range(20)]
    world = World(parents={child: ["router"] for child in children})
    world.fail("router", *children)
    world.wait(MINUTE)
    world.recover("router")
    for child in children:
        world.wait(2 * SECOND)
        world.recover(child)
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1, "resolved": 1}


def test_a_child_that_is_not_checked_after_its_parent_recovered_opens_after_five_minutes() -> None:
    world = World(parents={"checkout": ["router"]})
    world.fail("router", "checkout")
    world.wait(MINUTE)
    world.recover("router")
    world.wait(5 * MINUTE - SECOND)
    assert world.sent_kinds() == {"opened": 1}
    world.wait(2 * SECOND)
    assert world.sent_kinds() == {"opened": 2, "resolved": 1}


def test_members_follow_a_parent_between_to_its_separate_incident() -> None:
    world = World(parents={"switch": ["router"], "host": ["switch"]})
    world.fail("router", "switch", "host")
    world.wait(MINUTE)
    world.recover("router")
    world.wait(30 * SECOND)
    assert len(world.incidents) == 1, "the switch was not checked since"
    world.fail("switch")
    world.wait(30 * SECOND)
    router, switch = world.incidents.values()
    assert (router.is_open, [each.key.subject for each in switch.open_members]) == (False, ["switch", "host"])
    assert world.sent_kinds() == {"opened": 2, "resolved": 1}


def test_a_child_of_two_parents_follows_the_one_that_still_fails() -> None:
    world = World(parents={"host": ["left", "right"]})
    world.fail("left", "right", "host")
    world.wait(MINUTE)
    assert len(world.incidents) == 2
    world.recover("right")
    world.wait(30 * SECOND)
    left, right = sorted(world.incidents.values(), key=lambda each: each.lead.subject)
    assert [each.key.subject for each in left.open_members] == ["left", "host"]
    assert not right.is_open


def test_an_alert_waits_until_its_parents_were_checked() -> None:
    world = World(parents={"checkout": ["router"]})
    world.fail("checkout")
    world.wait(MINUTE)
    assert not world.sent
    world.fail("router")
    world.wait(MINUTE)
    assert [each.incident for each in world.sent] == [next(iter(world.incidents))]
    (incident,) = world.incidents.values()
    assert [member.key.subject for member in incident.members] == ["router", "checkout"]


def test_a_parent_that_fails_later_holds_reminders_and_what_is_not_announced_back() -> None:
    world = World(parents={"a": ["router"], "b": ["router"]}, policy=AlertPolicy(remind_every=HOUR))
    world.checked["router"] = START
    world.suppressions["b"] = SILENCE
    world.fail("a", "b")
    world.wait(30 * MINUTE)
    world.fail("router")
    world.wait(30 * MINUTE)
    del world.suppressions["b"]
    world.wait(2 * HOUR)
    kinds = {(str(each.kind), world.incidents[each.incident].lead.subject) for each in world.sent}
    assert kinds == {("opened", "a"), ("opened", "router"), ("reminded", "router")}
    assert world.codes()["held_back_parent"] == 1

    world.recover("router")
    world.wait(MINUTE)
    assert ("opened", "b") in {(str(each.kind), world.incidents[each.incident].lead.subject) for each in world.sent}


def test_a_parent_that_is_never_checked_delays_by_ninety_seconds() -> None:
    world = World(parents={"checkout": ["router"]})
    world.fail("checkout")
    world.wait(89 * SECOND)
    assert not world.sent
    world.wait(SECOND)
    assert world.sent_kinds() == {"opened": 1}


def test_alerts_of_one_cause_are_one_incident() -> None:
    world = World()
    world.causes = {"a": ["host x"], "b": ["address y", "host x"], "c": ["host z"]}
    world.fail("a", "b", "c")
    world.wait(MINUTE)
    assert sorted((each.cause, len(each.members)) for each in world.incidents.values()) == [("", 1), ("host x", 2)]
    assert world.sent_kinds() == {"opened": 2}


def test_a_silence_holds_the_opening_back_until_it_ends() -> None:
    world = World()
    world.suppressions["checkout"] = SILENCE
    world.fail("checkout")
    world.wait(30 * MINUTE)
    assert not world.sent
    assert world.codes() == {"held_back_silence": 1}

    del world.suppressions["checkout"]
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1}
    assert world.codes()["released"] == 1


def test_what_was_never_announced_is_not_resolved_by_a_message() -> None:
    world = World()
    world.suppressions["checkout"] = SILENCE
    world.fail("checkout")
    world.wait(MINUTE)
    world.recover("checkout")
    world.wait(MINUTE)
    assert not world.sent
    assert world.codes()["resolved_unannounced"] == 1


def test_a_resolution_is_sent_although_a_silence_began_meanwhile() -> None:
    world = World()
    world.fail("checkout")
    world.wait(MINUTE)
    world.suppressions["checkout"] = SILENCE
    world.channels = ("another",)
    world.recover("checkout")
    world.wait(MINUTE)
    assert [(each.kind, each.channel) for each in world.sent] == [("opened", "mail"), ("resolved", "mail")]


def test_a_job_that_fails_again_soon_reopens_its_incident() -> None:
    world = World()
    for _ in range(2):
        world.fail("checkout")
        world.wait(MINUTE)
        world.recover("checkout")
        world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1, "reopened": 1, "resolved": 2}
    assert len(world.incidents) == 1


def test_reminders_follow_the_clock_and_stop_at_a_silence() -> None:
    world = World(policy=AlertPolicy(remind_every=HOUR))
    world.fail("checkout")
    world.wait(3 * HOUR + MINUTE)
    assert world.sent_kinds() == {"opened": 1, "reminded": 3}
    world.suppressions["checkout"] = SILENCE
    world.wait(3 * HOUR)
    assert world.sent_kinds() == {"opened": 1, "reminded": 3}


def test_an_escalation_adds_channels_that_receive_the_resolution() -> None:
    world = World(policy=AlertPolicy(escalation=(EscalationStep(30 * MINUTE, ("manager",)),)))
    world.fail("checkout")
    world.wait(HOUR)
    world.recover("checkout")
    world.wait(MINUTE)
    assert [(each.kind, each.channel) for each in world.sent] == [
        ("opened", "mail"),
        ("escalated", "manager"),
        ("resolved", "mail"),
        ("resolved", "manager"),
    ]


def test_a_rule_that_is_removed_resolves_its_incident() -> None:
    world = World()
    world.fail("checkout")
    world.wait(MINUTE)
    world.policies["checkout"] = None
    world.wait(MINUTE)
    assert world.sent_kinds() == {"opened": 1, "resolved": 1}


def test_without_a_channel_a_decision_explains_the_silence() -> None:
    world = World()
    world.channels = ()
    world.fail("checkout")
    world.wait(MINUTE)
    world.wait(MINUTE)
    assert not world.sent
    assert world.codes() == {"no_channel": 1}


JOBS = ["router", "a", "b", "c", "d"]
EVENTS = st.lists(
    st.tuples(st.sampled_from(["fail", "recover", "silence", "end"]), st.sampled_from(JOBS), st.integers(0, 120)),
    max_size=40,
)


@pytest.mark.parametrize("parents", [{}, {"a": ["router"], "b": ["a"], "c": ["router"]}])
def test_each_history_is_announced_and_resolved_in_order(parents: dict[str, list[str]]) -> None:
    @given(EVENTS)
    def check(events: list[tuple[str, str, int]]) -> None:
        world = World(parents=parents)
        for kind, job, seconds in events:
            if kind == "fail":
                world.fail(job)
            elif kind == "recover":
                world.recover(job)
            elif kind == "silence":
                world.suppressions[job] = SILENCE
            else:
                world.suppressions.pop(job, None)
            world.wait(seconds * SECOND)
            assert not world.run_pass().steps, "a repeated pass changes nothing"
        world.suppressions.clear()
        world.recover(*JOBS)
        world.wait(5 * MINUTE)
        _assert_complete(world)

    check()


def _assert_complete(world: World) -> None:
    assert not [each for each in world.incidents.values() if each.is_open]
    by_incident: dict[str, list[str]] = {}
    for each in world.sent:
        by_incident.setdefault(each.incident, []).append(str(each.kind))
    for kinds in by_incident.values():
        ends = [kind for kind in kinds if kind in ("opened", "reopened", "resolved")]
        assert len(ends) % 2 == 0
        assert all(kind == "resolved" for kind in ends[1::2])
        assert all(kind != "resolved" for kind in ends[::2])
    keys = [each.dedup_key for each in world.sent]
    assert len(keys) == len(set(keys))
