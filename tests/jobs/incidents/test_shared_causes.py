"""Which of several shared causes leads, by the jobs that share it and are fine; and that nothing is lost by it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.incidents.engine.facts import GROUP_WINDOW, MAX_PARENT_WAIT, AlertPolicy
from jobs.incidents.engine.passing import run_pass
from jobs.incidents.headline import describe_shared, name_subjects
from jobs.incidents.values import AlertKey, Incident, SharedCause
from tests.jobs.incidents.world import MINUTE, SECOND, World

ADDRESS, WAY = "address 10.0.0.7", "error connect_timeout"


def world_of(hosts: Mapping[str, int], *causes: str) -> World:
    """Each host has so many jobs, which were fine an hour ago. `causes`: all have them, too."""
    world = World()
    world.causes = {f"{host}{at}": [f"host {host}", *causes] for host, count in hosts.items() for at in range(count)}
    return world


def jobs_of(world: World, *hosts: str) -> list[str]:
    return [job for job, causes in world.causes.items() if causes[0][5:] in hosts]


def let_run(world: World, jobs: Sequence[str]) -> None:
    world.checked.update(dict.fromkeys(jobs, world.now))


def fail(world: World, *hosts: str) -> None:
    """Let all jobs of these hosts fail; those of others run, and are fine."""
    failing = jobs_of(world, *hosts)
    world.fail(*failing)
    let_run(world, [job for job in world.causes if job not in failing])
    world.wait(30 * SECOND)


def open_incidents(world: World) -> list[tuple[str, int]]:
    return sorted((each.cause, len(each.open_members)) for each in world.incidents.values() if each.is_open)


FIVE = dict.fromkeys("abcde", 4)


def test_a_host_leads_if_the_other_hosts_of_its_address_are_fine() -> None:
    world = world_of({**FIVE, "a": 100}, ADDRESS)
    fail(world, "a")
    assert open_incidents(world) == [("host a", 100)]


def test_the_address_leads_if_all_of_its_hosts_fail() -> None:
    world = world_of(FIVE, ADDRESS)
    fail(world, *FIVE)
    assert open_incidents(world) == [(ADDRESS, 20)]


def test_without_counter_evidence_the_narrower_of_equal_causes_leads() -> None:
    world = world_of(FIVE, ADDRESS)
    world.fail(*jobs_of(world, "a"))
    world.wait(30 * SECOND)
    assert open_incidents(world) == [("host a", 4)]


def test_two_hosts_of_an_address_stay_two_if_the_other_three_are_fine() -> None:
    world = world_of(FIVE, ADDRESS, WAY)
    fail(world, "a", "b")
    assert open_incidents(world) == [("host a", 4), ("host b", 4)]


def test_an_error_joins_hosts_if_no_job_gets_through() -> None:
    world = world_of(dict.fromkeys("abcdefgh", 1), WAY)
    fail(world, *"abcdefgh")
    assert open_incidents(world) == [(WAY, 8)]


def test_one_job_that_gets_through_outweighs_four_with_an_error_of_the_way() -> None:
    world = world_of(dict.fromkeys("abcde", 1), WAY)
    fail(world, *"abcd")
    assert open_incidents(world) == [("", 1)] * 4


def test_two_jobs_of_one_host_are_one_incident_although_its_other_jobs_are_fine() -> None:
    world = world_of({"a": 20})
    world.fail("a0", "a1")
    let_run(world, jobs_of(world, "a")[2:])
    world.wait(30 * SECOND)
    (incident,) = world.incidents.values()
    assert (incident.cause, incident.shared) == (
        "host a",
        (SharedCause("host a", 2, 20, 18, ("a10", "a11", "a12", "a13", "a14")),),
    )


def test_a_single_alert_shows_which_jobs_share_its_host_and_are_fine() -> None:
    world = world_of({"a": 3})
    world.fail("a0")
    let_run(world, ["a1"])
    world.wait(30 * SECOND)
    (incident,) = world.incidents.values()
    assert [describe_shared(each) for each in incident.shared] == [
        "1 of 3 jobs on a fails, 1 not checked since, fine: a1"
    ]


def test_a_job_that_was_fine_before_the_trouble_is_no_counter_evidence() -> None:
    world = world_of(FIVE, ADDRESS)
    let_run(world, list(world.causes))
    world.wait(5 * MINUTE)
    failing = jobs_of(world, "a", "b")
    world.fail(*failing)
    world.wait(30 * SECOND)
    assert open_incidents(world) == [(ADDRESS, 8)]


def test_a_wider_cause_takes_over_when_more_hosts_fail_within_the_window() -> None:
    world = world_of(FIVE, ADDRESS)
    world.fail(*jobs_of(world, "a"))
    world.wait(20 * SECOND)
    fail(world, *FIVE)
    assert open_incidents(world) == [(ADDRESS, 20)]
    assert world.codes()["cause_widened"] == 1
    assert world.sent_kinds()["opened"] == 1


def test_a_wider_cause_does_not_take_over_if_the_other_hosts_are_fine() -> None:
    world = world_of(FIVE, ADDRESS)
    world.fail(*jobs_of(world, "a"))
    world.wait(20 * SECOND)
    fail(world, "a", "b")
    assert open_incidents(world) == [("host a", 4), ("host b", 4)]


def test_a_wider_cause_does_not_take_over_if_a_member_does_not_have_it() -> None:
    world = World()
    world.causes = {"b": ["host x", ADDRESS], "e": ["host x"], "c": ["host y", ADDRESS]}
    world.fail("b", "c", "e")
    world.wait(30 * SECOND)
    assert open_incidents(world) == [("", 1), ("host x", 2)]


def test_an_alert_after_the_window_opens_a_separate_incident() -> None:
    world = world_of(FIVE, ADDRESS)
    world.fail(*jobs_of(world, "a"))
    world.wait(GROUP_WINDOW + MINUTE)
    world.fail(*jobs_of(world, "b"))
    world.wait(30 * SECOND)
    assert open_incidents(world) == [("host a", 4), ("host b", 4)]


def test_an_alert_stored_by_an_earlier_release_joins_by_its_texts() -> None:
    world = World()
    old = "certificate valid until 2026-12-01 10:00:00Z"
    world.causes = {name: [f"host {name}", old] for name in "abc"}
    world.fail(*"abc")
    world.wait(30 * SECOND)
    (incident,) = world.incidents.values()
    assert incident.cause == old
    assert name_subjects(incident) == "a and 2 more with the certificate valid until 2026-12-01 10:00:00Z"


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("host api", "3 of 9 jobs on api fail, 4 not checked since, fine: x, y"),
        ("nameserver of this machine", "3 of 9 jobs with the name server of this machine fail"),
        (WAY, "3 of 9 jobs that connect to something fail"),
    ],
)
def test_the_counter_evidence_is_a_sentence(cause: str, expected: str) -> None:
    assert describe_shared(SharedCause(cause, 3, 9, 2, ("x", "y"))).startswith(expected)


def test_further_fine_jobs_are_counted() -> None:
    text = describe_shared(SharedCause("host api", 1, 8, 7, ("a", "b", "c", "d", "e")))
    assert text == "1 of 8 jobs on api fails, fine: a, b, c, d, e and 2 more"


# --- nothing is lost, and a repeated pass decides the same ---

CAUSES = ("host x", "host y", "parent p", ADDRESS, "address 10.0.0.8", WAY, "certificate c", "nameserver n")
JOBS = tuple("abcdefgh")
SITUATIONS = st.fixed_dictionaries(
    {
        "causes": st.fixed_dictionaries(
            {job: st.lists(st.sampled_from(CAUSES), unique=True, max_size=4) for job in JOBS}
        ),
        "parents": st.dictionaries(
            st.sampled_from("efgh"), st.sampled_from("abcd").map(lambda each: [each]), max_size=2
        ),
        "events": st.lists(
            st.tuples(st.integers(0, 50), st.sampled_from(JOBS), st.sampled_from(["fail", "recover", "run"])),
            min_size=1,
            max_size=25,
        ),
    }
)


def start(situation: Mapping[str, Any]) -> World:
    world = World(parents=situation["parents"], policy=AlertPolicy(reopen_within=timedelta(0)))
    world.causes = situation["causes"]
    return world


def act(world: World, job: str, what: str) -> None:
    if what == "fail":
        world.fail(job)
    elif what == "recover":
        world.recover(job)
    elif not world.alerts.get(AlertKey(job, "failed")) or not world.alerts[AlertKey(job, "failed")].is_firing:
        let_run(world, [job])


def check_members(world: World) -> None:
    """Each firing alert is a member of exactly one open incident, or waits until an instant that a pass has stated."""
    due_at = world.run_pass().due_at
    is_open = [each for each in world.incidents.values() if each.is_open]
    held = Counter(member.key for incident in is_open for member in incident.open_members)
    firing = [each for each in world.alerts.values() if each.is_firing]
    assert set(held.values()) <= {1}
    for alert in firing:
        key, fired_at = AlertKey(alert.subject, alert.rule), alert.changed_at
        assert fired_at is not None
        if not held[key]:
            wait = max(world.group_wait, MAX_PARENT_WAIT) if world.parents_of(alert.subject) else world.group_wait
            behind = any(parent in {each.subject for each in firing} for parent in world.parents_of(alert.subject))
            assert world.now <= fired_at + wait or behind
            assert due_at is not None
            assert due_at <= max(fired_at + wait, world.now) + MAX_PARENT_WAIT


@given(SITUATIONS)
def test_each_firing_alert_is_in_one_open_incident_or_waits_and_each_resolution_arrives(
    situation: Mapping[str, Any],
) -> None:
    world = start(situation)
    for seconds, job, what in situation["events"]:
        world.wait(seconds * SECOND)
        act(world, job, what)
        check_members(world)
    world.wait(3 * MINUTE)
    check_members(world)
    world.recover(*JOBS)
    world.wait(MINUTE)
    assert not any(each.is_open for each in world.incidents.values())
    sent = Counter((each.incident, each.kind.value) for each in world.sent)
    opened = {incident for incident, kind in sent if kind == "opened"}
    assert {incident: sent[incident, "resolved"] for incident in opened} == dict.fromkeys(opened, 1)


def summarize(steps: Sequence[Any]) -> list[Incident]:
    return [replace(each.incident, members=tuple(sorted(each.incident.members, key=str))) for each in steps]


@given(SITUATIONS, st.randoms(use_true_random=False))
def test_a_repeated_pass_decides_the_same_in_any_order_of_alerts(situation: Mapping[str, Any], random: Any) -> None:
    world = start(situation)
    for seconds, job, what in situation["events"]:
        world.now += seconds * SECOND
        act(world, job, what)
        is_open = [each for each in world.incidents.values() if each.is_open]
        alerts = list(world.alerts.values())
        first = run_pass(is_open, alerts, world)
        random.shuffle(alerts)
        random.shuffle(is_open)
        again = run_pass(is_open, alerts, world)
        assert summarize(again.steps) == summarize(first.steps)
        assert again.due_at == first.due_at
        world.run_pass()


@given(SITUATIONS)
def test_an_incident_names_only_a_cause_that_each_of_its_open_members_has(situation: Mapping[str, Any]) -> None:
    world = start({**situation, "parents": {}})
    for seconds, job, what in situation["events"]:
        world.wait(seconds * SECOND)
        act(world, job, what)
    world.wait(3 * MINUTE)
    for incident in world.incidents.values():
        members = incident.open_members if incident.cause else ()
        assert all(incident.cause in world.causes[each.key.subject] for each in members)
