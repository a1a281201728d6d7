"""Sequences of other programs: tests/data/alerting/thresholds.json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.alerting.alert import Alert
from jobs.alerting.evaluation import evaluate
from jobs.alerting.subject import history_of
from jobs.runs.outcomes import Trigger
from tests.jobs.alerting.alert_samples import MINUTE, NO_FACTS, START, rule_of, sample, samples, states_after
from tests.project import ROOT

KNOWN = json.loads((ROOT / "tests/data/alerting/thresholds.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", KNOWN["cases"], ids=lambda case: case["name"])
def test_it_fires_as_the_sequence_shows(case: dict[str, Any]) -> None:
    states = states_after(rule_of(**case["rule"]), samples(case["runs"]))

    assert [alert.is_firing for alert in states] == case["fires"]
    if "failing_since" in case:
        firing = next(alert for alert in states if alert.is_firing)
        assert firing.failing_since == START + case["failing_since"] * MINUTE


def test_the_minimum_duration_is_counted_by_the_clock() -> None:
    case = KNOWN["minimum_duration"]
    rule, alert = rule_of(**case["rule"]), Alert("job", "failed")
    fires = []
    for minute, _ in case["fires_at"]:
        runs = [sample(at, letter == "F") for at, letter in case["runs"] if at <= minute]
        alert = evaluate(rule, alert, history_of(runs), NO_FACTS, START + minute * MINUTE)
        fires.append([minute, alert.is_firing])

    assert fires == case["fires_at"]


@pytest.mark.parametrize("trigger", KNOWN["triggers"]["not_counted"])
def test_a_run_that_a_person_requests_does_not_alert(trigger: str) -> None:
    runs = samples("FFF", trigger=Trigger(trigger))
    assert not states_after(rule_of(), runs)[-1].is_active
    assert states_after(rule_of(triggers=[trigger]), runs)[-1].is_firing
