"""The condition `burn_rate`, and the rules that an objective with `alerts` means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.burn_rate import BurnRateCondition
from jobs.alerting.facts import AlertNeeds, SampleHistory, SubjectFacts
from jobs.alerting.rule import AlertRule
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import NO_ALERTING
from jobs.definition.job_alerts import rules_of
from jobs.model_base import FILE_CONTEXT
from jobs.objectives import SliCounts

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HOUR, MINUTES = timedelta(hours=1), timedelta(minutes=5)
CHECK = {"kind": "http", "url": "http://127.0.0.1:9/"}


def judge(long: tuple[int, int], short: tuple[int, int], **more: object) -> Verdict:
    rule = AlertRule.model_validate({"when": {"burn_rate": 14.4, "target": 99.9, **more}}, context=FILE_CONTEXT)
    flag = more.get("degraded_runs") == "bad"
    facts = SubjectFacts(run_counts={(HOUR, flag): SliCounts(*long), (MINUTES, flag): SliCounts(*short)})
    return rule.when.judge(SampleHistory(), facts, NOW, False, rule.thresholds)


@pytest.mark.parametrize(
    ("long", "short", "is_met"),
    [
        ((60, 2), (5, 1), True),
        ((60, 0), (5, 0), False),
        ((60, 2), (5, 0), False),
        ((1000, 14), (100, 50), False),
        ((1000, 15), (100, 50), True),
        ((60, 2), (0, 0), False),
        ((0, 0), (0, 0), False),
    ],
)
def test_both_burn_rates_must_be_above_the_factor(long: tuple[int, int], short: tuple[int, int], is_met: bool) -> None:
    assert judge(long, short).is_met is is_met


def test_one_bad_run_is_not_enough() -> None:
    verdict = judge((60, 1), (5, 1))
    assert not verdict.is_met
    assert verdict.evidence.endswith("both above 14.4, for the target 99.9%, but 1 bad runs are fewer than 2")
    assert judge((60, 1), (5, 1), minimum_bad_runs=1).is_met


def test_the_evidence_has_the_numbers_that_decided() -> None:
    assert judge((60, 2), (5, 1)).evidence == (
        "the burn rate is 33.3 in the last 1 h (2 of 60 runs bad), the burn rate is 200.0 in the last 5 min "
        "(1 of 5 runs bad): both above 14.4, for the target 99.9%"
    )


def test_it_reads_only_the_counts_of_its_windows() -> None:
    rule = AlertRule.model_validate({"when": {"burn_rate": 2, "target": 99, "degraded_runs": "bad"}})
    counts = frozenset({(HOUR, True), (MINUTES, True)})
    assert rule.needs == AlertNeeds(counts_within=counts, met_within=MINUTES, is_timed=True)
    assert rule.needs.longest_window == MINUTES
    unknown = rule.when.judge(SampleHistory(), SubjectFacts(), NOW, False, rule.thresholds)
    assert unknown.is_met is None


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"burn_rate": 14.4, "target": 90}, "with the target 90% the burn rate is 10 when every run is bad"),
        ({"burn_rate": 2, "target": 99, "window": "5m"}, "short_window must be shorter than window"),
        ({"burn_rate": 2}, "target"),
    ],
)
def test_a_condition_that_is_never_met_is_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BurnRateCondition.model_validate(values, context=FILE_CONTEXT)


def rules(slo: object, **more: object) -> list[tuple[str, str]]:
    job = JobDefinition.model_validate({"name": "a", "check": CHECK, "slo": slo, **more})
    return [(rule.name, rule.severity) for rule in rules_of(job, NO_ALERTING)]


ALL = [
    ("slo-burn-1h", "down"),
    ("slo-burn-6h", "down"),
    ("slo-burn-1d", "degraded"),
    ("slo-burn-3d", "degraded"),
]


def test_an_objective_with_alerts_has_a_rule_for_each_pair_of_windows() -> None:
    assert rules({"target": 99.9, "alerts": True}) == ALL
    assert rules({"target": 99.9, "alerts": True}, alerts=[]) == ALL
    assert rules({"target": 99.9, "alerts": True}, alerts=[{}]) == [("failed", "down"), *ALL]
    assert rules({"target": 99.9}) == rules({"target": 99.9, "alerts": False}) == rules(None) == []


def test_rules_that_can_never_fire_and_those_of_the_job_are_not_added() -> None:
    assert rules({"target": 90, "alerts": True}) == ALL[1:]
    assert rules({"target": 99.9, "alerts": {"page": False, "ticket": {"severity": "info"}}}) == [
        ("slo-burn-1d", "info"),
        ("slo-burn-3d", "info"),
    ]
    own = {"name": "slo-burn-6h", "severity": "info"}
    assert rules({"target": 99.9, "alerts": True}, alerts=[own]) == [("slo-burn-6h", "info"), ALL[0], *ALL[2:]]


def test_burn_alerts_are_not_downtime() -> None:
    job = JobDefinition.model_validate({"name": "a", "check": CHECK, "slo": {"target": 99.9, "alerts": True}})
    assert all(rule.counts_as_downtime is False for rule in rules_of(job, NO_ALERTING))


@pytest.mark.parametrize(
    ("slo", "message"),
    [
        ({"target": 99, "counts": "time", "alerts": True}, "burn alerts count runs"),
        ({"target": 99, "alerts": "yes"}, "alerts"),
        ({"target": 99, "alerts": {"page": {"channel": "x"}}}, "channel"),
    ],
)
def test_what_is_wrong_with_burn_alerts_is_named(slo: object, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        JobDefinition.model_validate({"name": "a", "check": CHECK, "slo": slo})
