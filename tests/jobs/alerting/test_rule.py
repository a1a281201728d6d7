"""Rules as job files write them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.alerting.conditions.union import CONDITIONS
from jobs.alerting.rule import AlertRule, AlertRules
from jobs.model_base import FILE_CONTEXT, FrozenModel
from jobs.problems import validation_findings
from tests.jobs.alerting.alert_samples import rule_of


class Owner(FrozenModel):
    alerts: AlertRules = ()


def message_of(*rules: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        Owner.model_validate({"alerts": list(rules)}, context=FILE_CONTEXT)
    found = validation_findings(caught.value.errors(include_url=False), Owner)
    return "; ".join(f"{'.'.join(map(str, one.path))}: {one.message}" for one in found)


def test_an_empty_rule_is_about_three_failed_runs_in_a_row() -> None:
    rule = rule_of()
    assert (rule.name, rule.severity, str(rule.opening), rule.for_) == ("failed", "down", "3", 0.0)


def test_name_and_severity_come_from_the_condition() -> None:
    rule = rule_of(when={"response_time_above": "800ms"})
    assert (rule.name, rule.severity) == ("response_time_above", "degraded")


WHEN: list[Any] = [
    "failed",
    "degraded",
    "unknown",
    {"success_rate_below": "95%", "window": "1h", "minimum_runs": 10},
    {"error_share_above": "10%", "errors": ["timeout"], "window": "30m"},
    {"response_time_above": "800ms", "percentile": 95, "window": "30m"},
    {"slower_than_usual": "50%", "weeks": 2, "at_least": "20ms"},
    {"lateness_above": "1m"},
    {"certificate_days_below": 14},
    {"secret_days_below": 14},
    "heartbeat_missed",
    {"dead_letters_above": 0, "window": "1h"},
    "circuit_open",
    "silent",
    {"silent": True, "grace": "5m"},
    {"burn_rate": 14.4, "target": 99.9, "window": "1h", "short_window": "5m"},
]


@pytest.mark.parametrize("when", WHEN, ids=str)
def test_a_written_rule_reads_back_the_same(when: Any) -> None:
    rule = rule_of(when=when)
    written = rule.model_dump(mode="json", by_alias=True)
    assert AlertRule.model_validate(written, context=FILE_CONTEXT) == rule


def test_each_condition_has_an_example() -> None:
    assert {type(rule_of(when=when).when) for when in WHEN} == set(CONDITIONS)
    assert all(condition.condition_key() in condition.EXAMPLE for condition in CONDITIONS)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({"when": "degradde"}, "alerts.0.when: 'degradde' is not a condition, did you mean degraded?"),
        ({"when": "lateness_above"}, "lateness_above needs a value: write {lateness_above: 1m}"),
        ({"when": {"sucess_rate_below": "95%"}}, "unknown key, did you mean success_rate_below?"),
        ({"when": {"success_rate_below": 95}}, "95 is not a share: write 95%"),
        ({"when": {"success_rate_below": "195%"}}, "'195%' is more than 100%"),
        ({"when": {"success_rate_below": "95%", "close_at": "90%"}}, "close_at (90%) is less than success_rate_below"),
        ({"when": {"response_time_above": "1s", "close_at": "2s"}}, "close_at (2s) is more than response_time_above"),
        ({"when": {"error_share_above": "1%", "errors": "timout"}}, "'timout' is not allowed, did you mean timeout?"),
        ({"when": {"success_rate_below": "95%"}, "open_after": 3}, "open_after does not apply to success_rate_below"),
        ({"when": "circuit_open", "close_after": 2}, "close_after does not apply to circuit_open"),
        ({"open_after": "5 of 3"}, "alerts.0.open_after: '5 of 3'"),
        ({"open_afer": 3}, "unknown key, did you mean open_after?"),
        ({"triggers": ["manul"]}, "'manul' is not allowed, did you mean manual?"),
        ({"triggers": []}, "alerts.0.triggers"),
        ({"notify": ["a", "a"]}, "'a' is listed twice"),
        ({"remind_every": "10s"}, "too small"),
        ({"flapping": True}, "write the policy"),
        ({"runbook": "wiki"}, "'wiki' is not a link"),
        (
            {"escalate": [{"after": "30m", "notify": "a"}, {"after": "10m", "notify": "a"}]},
            "the steps of escalate are not in order of after (30m, 10m)",
        ),
    ],
    ids=lambda value: str(value)[:50],
)
def test_an_error_names_what_is_wrong(written: dict[str, Any], expected: str) -> None:
    assert expected in message_of(written)


def test_two_rules_of_a_job_need_different_names() -> None:
    assert "two rules have the name failed" in message_of({}, {"open_after": 5})
    assert Owner.model_validate({"alerts": [{}, {"name": "long", "open_after": 5}]}, context=FILE_CONTEXT).alerts


def test_flapping_detection_can_be_off() -> None:
    assert rule_of(flapping=False).flapping is None
