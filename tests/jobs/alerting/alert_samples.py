"""Makes samples and evaluates rules for the tests of alerting."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from jobs.alerting.alert import Alert, Verdict
from jobs.alerting.facts import Sample, SubjectFacts, history_of
from jobs.alerting.rule import AlertRule, evaluate, judge_rule
from jobs.model_base import FILE_CONTEXT

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NO_FACTS = SubjectFacts()


def rule_of(**keys: Any) -> AlertRule:
    return AlertRule.model_validate({key.rstrip("_"): value for key, value in keys.items()}, context=FILE_CONTEXT)


def sample(minute: float, is_failed: bool = False, **more: Any) -> Sample:
    """A run each minute, which ends at its due instant."""
    at = START + minute * MINUTE
    return Sample(at, f"job@{at.isoformat()}", at, is_failed, **more)


def samples(letters: str, **more: Any) -> list[Sample]:
    """`F` failed, `D` degraded, `S` succeeded, `U` unknown; one a minute."""
    return [
        sample(
            minute,
            letter == "F",
            is_degraded=letter == "D",
            is_unknown=letter == "U",
            message="connection refused" if letter == "F" else "",
            **more,
        )
        for minute, letter in enumerate(letters)
    ]


def judge(
    rule: AlertRule,
    runs: Iterable[Sample] = (),
    facts: SubjectFacts = NO_FACTS,
    now: datetime | None = None,
    *,
    alert: Alert | None = None,
) -> Verdict:
    history = history_of(runs)
    at = now or (history.samples[-1].finished_at if history.samples else START)
    return judge_rule(rule, alert or Alert("job", rule.name), history, facts, at)


def states_after(rule: AlertRule, runs: list[Sample], alert: Alert | None = None) -> list[Alert]:
    """Return the alert after each run, evaluated when the run ends."""
    alert = alert or Alert("job", rule.name)
    found = []
    for count in range(1, len(runs) + 1):
        alert = evaluate(rule, alert, history_of(runs[:count]), NO_FACTS, runs[count - 1].finished_at)
        found.append(alert)
    return found
