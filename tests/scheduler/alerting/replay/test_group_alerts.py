"""A replay judges groups as the program does: by the newest counted run of each member, without paused members."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from jobs.alerting.facts import Sample
from jobs.runs import Trigger
from scheduler.alerting.replay.alerts import GroupAlerts
from tests.scheduler.alerting.replay.live import MINUTE, START, definitions_of, run_of


def group(**rule: Any) -> GroupAlerts:
    """Down when one of `a` and `b` is."""
    groups = {"all": {"jobs": {"all": True}, "down_when": "any", "alerts": [rule]}}
    book = definitions_of({name: {"alerts": []} for name in "ab"}, groups).book
    return GroupAlerts("all", book.groups["all"])


def sample(
    minute: int, letter: str, takes: timedelta = timedelta(seconds=3), trigger: Trigger = Trigger.SCHEDULE
) -> Sample:
    found = run_of("a", minute, letter).sample
    assert found is not None
    return replace(found, finished_at=found.due_at + takes, trigger=trigger)


def is_firing(alerts: GroupAlerts) -> bool:
    return any(each.is_firing for each in alerts.alerts.values())


def test_a_run_from_before_a_pause_that_ends_inside_of_it_does_not_count() -> None:
    alerts = group()
    alerts.add("b", sample(0, "S"))
    alerts.pause("a", START + 2 * MINUTE)
    alerts.add("a", sample(1, "F", 2 * MINUTE))
    assert not is_firing(alerts)
    alerts.resume("a", START + 10 * MINUTE)
    alerts.judge(START + 10 * MINUTE)
    assert not is_firing(alerts)
    alerts.add("a", sample(10, "F"))
    assert is_firing(alerts)


def test_a_failing_member_that_is_paused_ends_the_alert() -> None:
    alerts = group()
    alerts.add("b", sample(0, "S"))
    alerts.add("a", sample(0, "F"))
    assert is_firing(alerts)
    alerts.pause("a", START + MINUTE)
    assert not is_firing(alerts)


def test_a_newer_run_on_demand_hides_no_scheduled_run() -> None:
    alerts = group()
    alerts.add("b", sample(0, "S"))
    alerts.add("a", sample(2, "S", trigger=Trigger.MANUAL))
    alerts.add("a", sample(1, "F", 3 * MINUTE))
    assert is_firing(alerts)


def test_a_rule_that_names_runs_on_demand_counts_the_newest_run_of_both() -> None:
    alerts = group(triggers=["schedule", "manual"])
    alerts.add("b", sample(0, "S"))
    alerts.add("a", sample(1, "F"))
    alerts.add("a", sample(2, "S", trigger=Trigger.MANUAL))
    assert not is_firing(alerts)
