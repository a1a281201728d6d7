"""Uptime by time: what is charged, and what is excluded."""

from __future__ import annotations

from dataclasses import astuple, replace
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from jobs.alerting.alert import Alert, Verdict, advance
from jobs.alerting.rule import BUILT_IN_SEVERITIES, AlertRule
from jobs.incidents.downtime import (
    CountedFailure,
    Downtime,
    ExcludedTime,
    ExclusionReason,
    compute_downtime,
    list_blind_times,
    list_failures,
    list_suspended_times,
    needs_transitions,
)
from jobs.incidents.engine.facts import BLIND, BLIND_MARGIN, SCHEDULER, AlertPolicy
from jobs.incidents.values import AlertKey, Suppression, SuppressionKind
from jobs.runs.states import Cause, JobStatus, StateChange
from tests.jobs.incidents.world import MINUTE, RULE, START, World

PERIOD = 60
"""Minutes."""


def at(minute: float) -> datetime:
    return START + minute * MINUTE


def failure(begin: float, end: float | None, incident: str = "i", rule: str = RULE) -> CountedFailure:
    return CountedFailure(incident, rule, "down", at(begin), None if end is None else at(end))


def exclusion(begin: float, end: float, reason: ExclusionReason = ExclusionReason.WINDOW) -> ExcludedTime:
    return ExcludedTime(reason, at(begin), at(end), "patching")


def compute(*entries: CountedFailure | ExcludedTime) -> Downtime:
    failures = [each for each in entries if isinstance(each, CountedFailure)]
    return compute_downtime(failures, [each for each in entries if isinstance(each, ExcludedTime)], at(0), at(PERIOD))


def test_rules_that_fire_at_the_same_time_are_counted_once() -> None:
    found = compute(failure(10, 20, "a"), failure(15, 25, "b", "slow"), failure(25, 26, "c"), failure(40, 50, "d"))
    spans = [(span.begin, span.end, span.incidents, span.rules) for span in found.spans]
    assert spans == [(at(10), at(26), ("a", "b", "c"), (RULE, "slow")), (at(40), at(50), ("d",), (RULE,))]
    assert (found.down_seconds, found.uptime) == (26 * 60, pytest.approx(34 / 60))


def test_what_fires_lasts_until_the_end_of_the_period_and_began_at_its_beginning_at_the_earliest() -> None:
    (before, still) = compute(failure(-5, 5), failure(55, None)).spans
    assert (before.begin, before.end, before.is_open) == (at(0), at(5), False)
    assert (still.begin, still.end, still.is_open) == (at(55), at(PERIOD), True)
    assert compute(failure(-5, 0), failure(PERIOD, None)).spans == ()


def test_excluded_times_are_neither_uptime_nor_downtime() -> None:
    found = compute(failure(10, 20), exclusion(15, 40), exclusion(30, 45, ExclusionReason.BLIND))
    assert [(span.begin, span.end) for span in found.spans] == [(at(10), at(15))]
    assert (found.excluded_seconds, found.measured_seconds) == (30 * 60, 30 * 60)
    assert found.uptime == pytest.approx(25 / 30)


def test_without_measured_time_there_is_no_uptime() -> None:
    assert compute(exclusion(-10, 100)).uptime is None


intervals = st.tuples(st.integers(-10, 70), st.integers(1, 30), st.sampled_from("abc"))


@given(failures=st.lists(intervals, max_size=6), exclusions=st.lists(intervals, max_size=4), ongoing=st.booleans())
@settings(max_examples=40, deadline=None)
def test_each_minute_is_down_up_or_excluded(
    failures: list[tuple[int, int, str]], exclusions: list[tuple[int, int, str]], ongoing: bool
) -> None:
    down = [failure(begin, begin + length, name) for begin, length, name in failures]
    if ongoing:
        down.append(failure(50, None, "open"))
    excluded = [exclusion(begin, begin + length) for begin, length, _ in exclusions]

    found = compute(*down, *excluded)

    def covers(minute: int, each: CountedFailure | ExcludedTime) -> bool:
        return each.begin <= at(minute) < (each.end or at(PERIOD))

    minutes = range(PERIOD)
    skipped = {minute for minute in minutes if any(covers(minute, each) for each in excluded)}
    charged = {minute for minute in minutes if any(covers(minute, each) for each in down)} - skipped
    assert found.down_seconds == 60 * len(charged)
    assert found.excluded_seconds == 60 * len(skipped)
    if len(skipped) == PERIOD:
        assert found.uptime is None
    else:
        assert found.uptime == pytest.approx(1 - len(charged) / (PERIOD - len(skipped)))
    assert all(one.end <= two.begin for one, two in pairwise(found.spans))
    for span in found.spans:
        names = {each.incident for each in down if each.begin < span.end and (each.end or at(PERIOD)) > span.begin}
        assert set(span.incidents) == names


def rule(severity: str, *, counts: bool | None = None) -> AlertRule:
    return AlertRule(severity=severity, counts_as_downtime=counts)


def list_of(world: World, subject: str, **rules: AlertRule) -> list[CountedFailure]:
    found: list[CountedFailure] = []
    for incident in world.incidents.values():
        transitions = [each for each in world.transitions if each.incident == incident.id]
        needed = transitions if needs_transitions(subject, incident) else ()
        found += list_failures(subject, incident, needed, rules, BUILT_IN_SEVERITIES)
    return found


def down_minutes(world: World, subject: str, **rules: AlertRule) -> float:
    failures = list_of(world, subject, **rules)
    return compute_downtime(failures, (), START - timedelta(days=1), world.now).down_seconds / 60


def outage(world: World, *subjects: str, minutes: float = 5) -> None:
    """`World.fail` makes an alert that has failed for a minute."""
    world.fail(*subjects)
    world.wait(minutes * MINUTE)
    world.recover(*subjects)
    world.wait(MINUTE)


@pytest.mark.parametrize(
    ("severity", "defined", "minutes"),
    [
        ("down", None, 6),
        ("degraded", None, 0),
        ("down", rule("down", counts=False), 0),
        ("degraded", rule("degraded", counts=True), 6),
        ("unknown", None, 0),
    ],
)
def test_the_rule_decides_what_counts_and_without_it_the_severity(
    severity: str, defined: AlertRule | None, minutes: float
) -> None:
    world = World(policy=AlertPolicy(severity=severity))
    outage(world, "checkout")
    rules = {} if defined is None else {RULE: defined}
    assert down_minutes(world, "checkout", **rules) == minutes
    assert down_minutes(world, "search") == 0


def test_an_alert_that_a_silence_held_back_all_the_time_counts() -> None:
    world = World()
    world.suppressions["checkout"] = Suppression(SuppressionKind.SILENCE, "deploy")
    outage(world, "checkout")
    assert world.sent == []
    assert down_minutes(world, "checkout") == 6


def test_an_alert_behind_a_parent_counts_for_its_job() -> None:
    world = World(parents={"checkout": ["router"]})
    world.fail("router")
    world.wait(2 * MINUTE)
    outage(world, "checkout")
    assert down_minutes(world, "checkout") == 6


def test_an_alert_of_a_blind_scheduler_does_not_count_and_the_time_is_excluded() -> None:
    world = World()
    world.policies[SCHEDULER] = AlertPolicy(severity=BLIND, rank=30)
    blind = AlertKey(SCHEDULER, BLIND)
    world.alerts[blind] = advance(Alert(*astuple(blind)), Verdict(True, "no reference answers", at(-1)), at(0))
    world.wait(MINUTE)
    outage(world, "checkout")
    world.alerts[blind] = advance(world.alerts[blind], Verdict(False), world.now)
    world.wait(10 * MINUTE)

    (incident,) = world.incidents.values()
    assert {member.key.subject for member in incident.members} == {SCHEDULER, "checkout"}
    assert list_of(world, "checkout") == []
    (time,) = list_blind_times(incident, (), world.now)
    assert (time.begin, time.end, time.text) == (at(-1) - BLIND_MARGIN, at(7), "no reference answers")


def test_an_alert_that_is_confirmed_after_blindness_counts_from_its_end() -> None:
    found = compute(failure(10, 30), exclusion(5, 20, ExclusionReason.BLIND))
    assert [(span.begin, span.end) for span in found.spans] == [(at(20), at(30))]


def test_a_second_outage_in_a_reopened_incident_counts_in_addition_to_the_first() -> None:
    world = World()
    for _ in range(3):
        outage(world, "checkout")
    assert len(world.incidents) == 1
    assert down_minutes(world, "checkout") == 3 * 6


events = st.lists(st.tuples(st.sampled_from(["router", "checkout"]), st.integers(1, 15)), min_size=1, max_size=12)


_REJOINED = [
    ("router", 1), ("router", 1), ("router", 1), ("checkout", 1), ("checkout", 1), ("checkout", 1), ("router", 1),
    ("router", 1), ("checkout", 1), ("checkout", 1),
]  # fmt: skip
"""An alert that was replaced in an incident leaves it, and joins it again later."""


@given(events=events)
@example(events=_REJOINED)
@settings(max_examples=30, deadline=None)
def test_incidents_have_all_times_in_which_alerts_fired_however_they_joined_left_and_reopened(
    events: list[tuple[str, int]],
) -> None:
    """Each event toggles a job, of which one is the parent of the other."""
    world = World(parents={"checkout": ["router"]})
    failing: dict[str, datetime] = {}
    expected: dict[str, list[CountedFailure]] = {"router": [], "checkout": []}
    for subject, minutes in events:
        if subject in failing:
            expected[subject].append(CountedFailure("", RULE, "down", failing.pop(subject), world.now))
            world.recover(subject)
        else:
            failing[subject] = world.now - MINUTE
            world.fail(subject)
        world.checked = dict.fromkeys(expected, world.now)
        world.wait(minutes * MINUTE)
    for subject, since in failing.items():
        expected[subject].append(CountedFailure("", RULE, "down", since, None))

    for subject, failures in expected.items():
        model = compute_downtime(failures, (), START - timedelta(days=1), world.now)
        found = compute_downtime(list_of(world, subject), (), START - timedelta(days=1), world.now)
        assert [(span.begin, span.end) for span in found.spans] == [(span.begin, span.end) for span in model.spans]


def change(number: int, minute: float, state: JobStatus, before: StateChange | None = None) -> StateChange:
    previous = (None, None) if before is None else (before.state, before.at)
    return StateChange("checkout", number, state, at(minute), Cause("job_paused", "deployment"), "", *previous)


def suspended(*changes: StateChange) -> list[tuple[str, float, float]]:
    times = list_suspended_times(changes[::-1], at(0), at(PERIOD))
    return [(each.reason, (each.begin - START) / MINUTE, (each.end - START) / MINUTE) for each in times]


def test_the_time_in_which_runs_are_unknown_is_excluded() -> None:
    first = change(1, 10, JobStatus.DOWN)
    lost = replace(change(2, 20, JobStatus.UNKNOWN, first), cause=Cause("unknown", "403: grant Reader."))
    found = change(3, 50, JobStatus.UP, lost)
    assert suspended(first, lost) == [("unknown", 20, PERIOD), ("not_observed", 0, 10)]
    assert suspended(lost, found) == [("unknown", 20, 50)]
    assert suspended(found) == [("unknown", 20, 50)], "the state before the period"


def test_pauses_and_the_time_before_the_first_run_are_excluded() -> None:
    first = change(1, 10, JobStatus.UP)
    paused = change(2, 20, JobStatus.PAUSED, first)
    resumed = change(3, 30, JobStatus.UNKNOWN, paused)
    disabled = change(4, 50, JobStatus.DISABLED, resumed)
    assert suspended() == [("not_observed", 0, PERIOD)]
    assert suspended(first) == [("not_observed", 0, 10)]
    assert suspended(first, paused) == [("paused", 20, PERIOD), ("not_observed", 0, 10)]
    assert suspended(resumed) == [("paused", 20, 30)]
    assert suspended(first, paused, resumed, disabled) == [
        ("disabled", 50, PERIOD),
        ("paused", 20, 30),
        ("not_observed", 0, 10),
    ]
    assert suspended(change(9, -100, JobStatus.UP, first)) == []
