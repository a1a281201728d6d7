"""Unknown runs: neither good nor bad for any rule but the one about them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.alerting.rule import AlertRule
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import define_alerting
from jobs.definition.job_alerts import rules_of
from jobs.targets import HttpTarget
from tests.jobs.alerting.alert_samples import judge, rule_of, samples, states_after

UNKNOWN = rule_of(when="unknown")
NOTHING_DEFINED = define_alerting({})


def test_three_unknown_runs_in_a_row_degrade_by_default() -> None:
    assert (UNKNOWN.name, UNKNOWN.severity, str(UNKNOWN.opening)) == ("unknown", "degraded", "3")
    assert [judge(UNKNOWN, samples(letters)).is_met for letters in ("UU", "UUU", "UUFU")] == [False, True, False]


def test_the_evidence_says_why_and_never_down() -> None:
    runs = samples("SUUU")
    verdict = judge(UNKNOWN, [*runs[:3], type(runs[3])(**{**_fields(runs[3]), "message": "403: grant Reader."})])
    assert verdict.evidence == "the last 3 runs were unknown: 403: grant Reader"


@pytest.mark.parametrize("last", "SFD")
def test_any_run_that_checks_the_target_closes_it(last: str) -> None:
    alerts = states_after(UNKNOWN, samples("UUU" + last))
    assert [alert.is_firing for alert in alerts[2:]] == [True, False]


def test_it_can_be_about_a_duration() -> None:
    rule = rule_of(when="unknown", open_after=1, for_="30m")
    assert states_after(rule, samples("U"))[-1].is_active
    assert states_after(rule, samples("U" * 31))[-1].is_firing


@given(st.text("SFDU", max_size=30), st.sampled_from(["failed", "degraded", {"success_rate_below": "90%"}]))
def test_no_other_rule_sees_an_unknown_run(letters: str, when: Any) -> None:
    rule, runs = rule_of(when=when), samples(letters)
    known = [each for each in runs if not each.is_unknown]
    now = runs[-1].finished_at if runs else None
    assert judge(rule, runs, now=now) == judge(rule, known, now=now)


def test_an_open_down_alert_stays_open_while_its_target_is_unknown() -> None:
    alerts = states_after(rule_of(when="failed"), samples("FFFUUUUS"))
    assert [alert.is_firing for alert in alerts] == [False, False, True, True, True, True, True, False]


def _job(**keys: Any) -> JobDefinition:
    return JobDefinition.model_validate(
        {"name": "queue", "check": {"kind": "http", "url": "https://example.com/"}, **keys}
    )


def _names(job: JobDefinition) -> list[str]:
    return [rule.name for rule in rules_of(job, NOTHING_DEFINED)]


def test_a_job_with_rules_whose_check_can_be_unknown_has_a_rule_about_that(monkeypatch: pytest.MonkeyPatch) -> None:
    alerts = [{"notify": ["pager"]}]
    assert _names(_job(alerts=alerts)) == ["failed"]
    monkeypatch.setattr(HttpTarget, "CAN_BE_UNKNOWN", True, raising=False)
    added: AlertRule = rules_of(_job(alerts=alerts), NOTHING_DEFINED)[-1]
    assert (added.name, added.severity, added.notify) == ("unknown", "degraded", ("pager",))


def test_a_rule_of_the_file_replaces_it_and_a_job_without_rules_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HttpTarget, "CAN_BE_UNKNOWN", True, raising=False)
    own = [{"when": "unknown", "name": "lost-sight", "for": "1h"}, {}]
    assert _names(_job(alerts=own)) == ["lost-sight", "failed"]
    assert _names(_job(alerts=[])) == []
    assert _names(_job()) == []


def _fields(sample: Any) -> dict[str, Any]:
    return {name: getattr(sample, name) for name in type(sample).__dataclass_fields__}
