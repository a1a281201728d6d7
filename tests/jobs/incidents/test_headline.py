"""Which member of an incident leads what people read, and how the others are counted."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from jobs.incidents.engine.announcing import resolve_by_hand
from jobs.incidents.engine.facts import AlertPolicy
from jobs.incidents.headline import (
    count_by_severity,
    describe_others,
    explains_others,
    find_keeping_open,
    list_subjects,
    name_subjects,
    sort_members,
)
from jobs.incidents.values import AlertKey, Incident, IncidentStatus, Member, Notification, Transition, TransitionKind
from jobs.notifications.templates.incident_message import MessageDetails, make_message
from tests.jobs.incidents.world import HOUR, MINUTE, SECOND, START, World

RANKS = {"down": 20, "degraded": 10}
DAY = timedelta(days=1)


def member(
    subject: str, severity: str = "down", since: timedelta = MINUTE, rule: str = "failed", **more: Any
) -> Member:
    """`since`: how long before START it began to fail. `ended`: how long before START it recovered."""
    ended = more.pop("ended", None)
    begin = START - since
    return Member(
        AlertKey(subject, rule),
        1,
        severity,
        RANKS[severity],
        begin,
        begin,
        f"{subject} is bad",
        resolved_at=None if ended is None else START - ended,
        **more,
    )


def incident_of(*members: Member, **more: Any) -> Incident:
    return Incident("1-a", 1, IncidentStatus.OPEN, START - 9 * DAY, members, members[0].key, **more)


def title_of(incident: Incident, kind: TransitionKind = TransitionKind.REMINDED, actor: str = "") -> str:
    transition = Transition(incident.id, 2, kind, START, "text", actor)
    sent = Notification(incident.id, 2, kind, "mail", START)
    return make_message(incident, transition, sent, MessageDetails()).title


def test_the_worst_severity_leads_then_the_earliest_failure_of_it() -> None:
    found = incident_of(member("partner", "degraded", 5 * DAY), member("cart"), member("checkout", since=2 * MINUTE))
    assert title_of(found) == (
        "STILL DOWN checkout and 1 more since 02:58, for 2 min (checkout is bad); partner degraded for 5 d"
    )
    assert list_subjects(found) == ["checkout", "cart", "partner"]
    assert count_by_severity(found) == "2 down, 1 degraded"


def test_a_lead_that_has_recovered_is_replaced_by_one_that_still_fails() -> None:
    found = incident_of(member("checkout", since=HOUR, ended=MINUTE), member("cart", "degraded", 2 * MINUTE))
    assert title_of(found) == "STILL DEGRADED cart since 02:58, for 2 min (cart is bad)"
    assert found.failing_since == START - 2 * MINUTE
    assert [each.key.subject for each in sort_members(found)] == ["cart", "checkout"]


def test_a_member_behind_a_parent_never_leads_while_another_one_is_open() -> None:
    found = incident_of(member("shop", since=HOUR, parent="router"), member("router", "degraded"))
    assert found.leading.key.subject == "router"
    assert (found.severity, found.worst_severity) == ("degraded", "down")
    assert describe_others(found, START) == "shop down for 1 h"
    assert [explains_others(found, each) for each in found.members] == [False, True]


def test_of_equals_the_alert_that_opened_it_leads() -> None:
    assert incident_of(member("b"), member("a")).leading.key.subject == "b"


def test_a_resolution_has_the_downtime_of_the_job_that_it_names() -> None:
    members = (
        member("short", since=9 * HOUR, ended=8 * HOUR),
        member("long", since=5 * HOUR, ended=MINUTE),
        member("partner", "degraded", 5 * DAY, ended=timedelta()),
    )
    found = replace(incident_of(*members), status=IncidentStatus.RESOLVED, resolved_at=START)
    assert title_of(found, TransitionKind.RESOLVED) == "RESOLVED long and 2 more, long was down 4 h 59 min"


def test_what_recovered_before_it_was_reopened_is_not_part_of_the_resolution() -> None:
    members = member("checkout", since=2 * MINUTE, ended=MINUTE), member("cart", since=9 * HOUR, ended=2 * HOUR)
    found = replace(
        incident_of(*members), status=IncidentStatus.RESOLVED, resolved_at=START - MINUTE, reopened_at=START - HOUR
    )
    assert title_of(found, TransitionKind.RESOLVED) == "RESOLVED checkout, was down 1 min"


@pytest.mark.parametrize(
    ("cause", "name"),
    [
        ("host api.example.com", "checkout and 1 more on api.example.com"),
        ("parent router", "checkout and 1 more behind router"),
        ("circuit payments", "checkout and 1 more with the circuit payments"),
        ("error dns_failure: no such name", "checkout and 1 more"),
        ("", "checkout and 1 more"),
    ],
)
def test_what_several_jobs_share_is_in_the_title(cause: str, name: str) -> None:
    assert name_subjects(incident_of(member("checkout"), member("cart"), cause=cause)) == name


def test_two_rules_of_one_job_are_one_subject_without_a_cause() -> None:
    found = incident_of(member("checkout"), member("checkout", "degraded", rule="slow"), cause="host api.example.com")
    assert title_of(found) == "STILL DOWN checkout since 02:59, for 1 min (checkout is bad)"


def test_a_rule_that_alone_keeps_an_incident_open_is_named() -> None:
    slow = member("checkout", "degraded", rule="response-time")
    found = incident_of(member("checkout", since=HOUR, ended=MINUTE), slow)
    assert find_keeping_open(found) == slow
    transition = Transition(found.id, 2, TransitionKind.REMINDED, START, "still open")
    sent = Notification(found.id, 2, TransitionKind.REMINDED, "mail", START)
    text = make_message(found, transition, sent, MessageDetails()).text
    assert text == "still open\nOnly the rule response-time of checkout keeps the incident open: checkout is bad"
    assert find_keeping_open(incident_of(member("checkout", ended=SECOND), slow, member("cart"))) is None


def test_what_still_fails_when_a_person_resolves_the_incident_is_said() -> None:
    step = resolve_by_hand(incident_of(member("checkout"), member("cart", ended=SECOND)), "anna", START)
    title = title_of(step.incident, TransitionKind.RESOLVED, "anna")
    assert title == "RESOLVED by anna, checkout still fails, down since 02:59 (checkout is bad)"


def open_world() -> World:
    world = World(policy=AlertPolicy(rank=20))
    world.causes = {"checkout": ["host x"]}
    world.fail("checkout")
    world.wait(20 * SECOND)
    return world


def test_a_second_rule_of_a_job_joins_without_a_message() -> None:
    world = open_world()
    world.fail_rule("checkout", "slow")
    world.wait(20 * SECOND)
    (incident,) = world.incidents.values()
    assert len(incident.members) == 2
    assert world.sent_kinds() == {"opened": 1}
    assert world.codes()["held_back_same_job"] == 1


def test_a_second_rule_with_a_higher_severity_raises_the_incident() -> None:
    world = open_world()
    world.policies["checkout"] = AlertPolicy("critical", 25)
    world.fail_rule("checkout", "slow")
    world.wait(20 * SECOND)
    assert world.sent_kinds() == {"opened": 1, "raised": 1}


def test_a_second_rule_with_further_channels_sends_them_the_opening() -> None:
    world = open_world()
    world.channels = ("mail", "performance")
    world.fail_rule("checkout", "slow")
    world.wait(20 * SECOND)
    assert [(each.channel, str(each.kind)) for each in world.sent] == [("mail", "opened"), ("performance", "opened")]


@pytest.mark.parametrize("seed", range(200))
def test_lead_severity_reason_and_since_come_from_one_member_that_a_reference_finds(seed: int) -> None:
    random = Random(seed)
    members = [
        member(
            f"job-{number}",
            random.choice(["down", "degraded"]),
            random.randrange(2, 9999) * SECOND,
            parent=random.choice(["", "", "", "router"]),
            ended=random.choice([None, None, SECOND]),
        )
        for number in range(random.randrange(1, 12))
    ]
    open_ones = [each for each in members if each.resolved_at is None]
    if not open_ones:
        members[0] = replace(members[0], resolved_at=None)
        open_ones = members[:1]
    candidates = [each for each in open_ones if not each.parent] or open_ones
    worst = max(each.rank for each in candidates)
    begins = min(each.failing_since for each in candidates if each.rank == worst)
    expected = [each for each in candidates if (each.rank, each.failing_since) == (worst, begins)]

    found = incident_of(*members)
    assert found.leading in expected
    lead = found.leading
    assert (found.severity, found.failing_since) == (lead.severity, lead.failing_since)
    title = title_of(found)
    assert title.startswith(f"STILL {lead.severity.upper()} {lead.key.subject}")
    assert f"({lead.evidence})" in title
