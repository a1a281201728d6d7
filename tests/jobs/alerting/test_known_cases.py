"""Sequences of other programs: tests/data/alerting/thresholds.json."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from jobs.alerting.alert import Alert
from jobs.alerting.facts import history_of
from jobs.alerting.groups import AlertGroup, judge_group
from jobs.alerting.rule import evaluate
from jobs.incidents.engine.facts import AlertPolicy
from jobs.runs.outcomes import Trigger
from tests.jobs.alerting.alert_samples import MINUTE, NO_FACTS, START, rule_of, sample, samples, states_after
from tests.jobs.incidents.world import World
from tests.project import ROOT

KNOWN = json.loads((ROOT / "tests/data/alerting/thresholds.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", KNOWN["cases"], ids=lambda case: case["name"])
def test_it_fires_as_the_sequence_shows(case: dict[str, Any]) -> None:
    states = states_after(rule_of(**case["rule"]), samples(case["runs"]))

    assert [alert.is_firing for alert in states] == case["fires"]
    if "failing_since" in case:
        firing = next(alert for alert in states if alert.is_firing)
        assert firing.failing_since == START + case["failing_since"] * MINUTE


@pytest.mark.parametrize("case", KNOWN["minimum_durations"], ids=lambda case: case["name"])
def test_the_minimum_duration_is_counted_by_the_clock(case: dict[str, Any]) -> None:
    rule, alert = rule_of(**case["rule"]), Alert("job", "failed")
    fires = []
    for minute, _ in case["fires_at"]:
        runs = [sample(at, letter == "F") for at, letter in case["runs"] if at <= minute]
        alert = evaluate(rule, alert, history_of(runs), NO_FACTS, START + minute * MINUTE)
        fires.append([minute, alert.is_firing])

    assert fires == case["fires_at"]


@pytest.mark.parametrize("case", KNOWN["reminders"], ids=lambda case: case["name"])
def test_reminders_are_due_by_the_clock(case: dict[str, Any]) -> None:
    every = case["remind_every_s"]
    world = World(policy=AlertPolicy(remind_every=None if every is None else timedelta(seconds=every)))
    world.group_wait = timedelta()
    for number in range(case["failures"]):
        if number:
            world.wait(timedelta(seconds=case["every_s"]))
        world.fail("job")
        world.run_pass()

    assert len(world.sent) == case["notifications"]


@pytest.mark.parametrize("case", KNOWN["locations"], ids=lambda case: case["name"])
def test_a_group_is_down_when_enough_locations_fail(case: dict[str, Any]) -> None:
    group = AlertGroup.model_validate({"jobs": {"all": True}, "down_when": {"at_least": case["at_least"]}})
    for failing, is_down in case["down"]:
        members = {f"location-{number}": number < failing for number in range(case["members"])}
        assert judge_group(group, members).is_met is is_down


@pytest.mark.parametrize("trigger", KNOWN["triggers"]["not_counted"])
def test_a_run_that_a_person_requests_does_not_alert(trigger: str) -> None:
    runs = samples("FFF", trigger=Trigger(trigger))
    assert not states_after(rule_of(), runs)[-1].is_active
    assert states_after(rule_of(triggers=[trigger]), runs)[-1].is_firing
