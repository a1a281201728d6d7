"""Rules against a list of the same samples, and the work that healthy jobs cause."""

from __future__ import annotations

from datetime import timedelta
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.alerting.alert import Alert, AlertStatus
from jobs.alerting.facts import history_of
from jobs.alerting.rule import Activity, CompiledRules, evaluate
from jobs.runs.outcomes import Trigger
from tests.jobs.alerting.alert_samples import MINUTE, NO_FACTS, START, judge, rule_of, sample, samples, states_after


def oracle(letters: str, count: int, window: int, close_after: int | None) -> list[bool]:
    """Whether the alert fires after each run, from the whole list each time."""
    fires, found = False, []
    for end in range(1, len(letters) + 1):
        before = letters[:end]
        bad = before[-window:].count("F") >= count
        good_in_a_row = len(before) - len(before.rstrip("S"))
        if close_after is not None:
            fires = (fires or bad) and good_in_a_row < close_after
        else:
            fires = bad or (fires and before.endswith("F"))
        found.append(fires)
    return found


@settings(max_examples=60)
@given(st.text("SF", max_size=25), st.integers(1, 5), st.integers(0, 4), st.none() | st.integers(1, 4))
def test_it_fires_as_the_list_of_all_runs_decides(letters: str, count: int, more: int, close_after: int | None) -> None:
    rule = rule_of(open_after=f"{count} of {count + more}", close_after=close_after)
    states = states_after(rule, samples(letters))
    assert [alert.is_firing for alert in states] == oracle(letters, count, count + more, close_after)


@settings(max_examples=40)
@given(
    st.text("SFD", min_size=1, max_size=20), st.randoms(use_true_random=False), st.sampled_from(["failed", "degraded"])
)
def test_order_and_redelivery_do_not_matter(letters: str, random: object, condition: str) -> None:
    rule, runs = rule_of(when=condition, open_after="2 of 4"), samples(letters)
    mixed = [*runs, *runs[:3]]
    random.shuffle(mixed)  # type: ignore[attr-defined]
    assert judge(rule, mixed, now=START) == judge(rule, runs, now=START)


@settings(max_examples=40)
@given(st.text("SF", min_size=1, max_size=20))
def test_only_what_it_needs_decides(letters: str) -> None:
    rule, runs = rule_of(open_after="3 of 5", close_after=2), samples(letters)
    needed = runs[-rule.needs.samples :]
    assert judge(rule, needed, now=START).is_met == judge(rule, runs, now=START).is_met


def test_it_opens_before_the_window_is_full() -> None:
    assert states_after(rule_of(open_after="2 of 5"), samples("FF"))[-1].is_firing


def test_a_failing_run_keeps_an_alert_open_although_the_threshold_is_not_reached() -> None:
    states = states_after(rule_of(open_after="2 of 3"), samples("FFSSF"))
    assert [alert.is_firing for alert in states] == [False, True, True, False, False]
    after_a_pause = evaluate(rule_of(open_after=3), states[1], history_of(samples("F")), NO_FACTS, START)
    assert after_a_pause.is_firing


def test_runs_of_before_a_pause_do_not_count_after_it() -> None:
    rule, runs = rule_of(open_after=2), samples("FF")
    history = history_of(runs, counts_from=START + MINUTE)
    assert not evaluate(rule, Alert("job", "failed"), history, NO_FACTS, START + MINUTE).is_active


def test_an_alert_is_unchanged_after_a_pause_until_a_run_counts() -> None:
    rule, runs = rule_of(open_after=2), samples("FF")
    firing = states_after(rule, runs)[-1]
    resumed = history_of(runs, counts_from=START + 5 * MINUTE)
    assert evaluate(rule, firing, resumed, NO_FACTS, START + 5 * MINUTE) is firing


def test_a_requested_success_does_not_close() -> None:
    rule, runs = rule_of(open_after=2), samples("FF")
    runs.append(sample(2, trigger=Trigger.MANUAL))
    assert states_after(rule, runs)[-1].is_firing


def test_the_minimum_duration_restarts_when_the_condition_ends() -> None:
    rule, alert = rule_of(open_after=1, for_="5m"), Alert("job", "failed")
    statuses = []
    for letters, minute in (("F", 0), ("FS", 4), ("FSF", 5), ("FSF", 9), ("FSF", 10)):
        alert = evaluate(rule, alert, history_of(samples(letters)), NO_FACTS, START + minute * MINUTE)
        statuses.append(alert.status)
    assert statuses == [
        AlertStatus.PENDING,
        AlertStatus.INACTIVE,
        AlertStatus.PENDING,
        AlertStatus.PENDING,
        AlertStatus.FIRING,
    ]


RULES = CompiledRules(
    [
        rule_of(open_after="3 of 5"),
        rule_of(when="degraded"),
        rule_of(when={"success_rate_below": "95%", "window": "1h"}),
        rule_of(when={"response_time_above": "800ms", "window": "30m"}),
        rule_of(when={"lateness_above": "1m"}),
        rule_of(when={"certificate_days_below": 14}),
    ]
)


def test_a_healthy_job_is_not_judged() -> None:
    with patch("jobs.alerting.conditions.base.series_of", side_effect=AssertionError("judged")):
        for run in samples("S" * 200, response_ms=20.0):
            assert RULES.observe(None, run) is None


def test_a_sample_is_read_once_by_each_different_condition() -> None:
    same = CompiledRules([rule_of(name=f"r{number}", open_after=number) for number in (1, 2, 3)])
    with patch("jobs.alerting.conditions.failed.FailedCondition.is_bad", return_value=False) as is_bad:
        same.observe(None, sample(0))
    assert is_bad.call_count == 1


@pytest.mark.parametrize(
    "bad",
    [
        sample(0, True),
        sample(0, is_degraded=True),
        sample(0, response_ms=801.0),
        sample(0, lateness_ms=60_001.0),
        sample(0, certificate_expires_at=START + timedelta(days=13)),
    ],
)
def test_a_bad_sample_of_any_rule_starts_activity(bad: object) -> None:
    assert RULES.observe(None, bad) is not None  # type: ignore[arg-type]


def test_activity_ends_when_no_window_contains_a_bad_sample() -> None:
    activity: Activity | None = None
    for minute, run in enumerate(samples("F" + "S" * 100)):
        activity = RULES.observe(activity, run)
        assert (activity is None) == (minute >= 100)


@settings(max_examples=30)
@given(st.text("SSSF", max_size=60), st.integers(1, 4), st.integers(0, 4))
def test_skipping_healthy_jobs_changes_no_alert(letters: str, count: int, more: int) -> None:
    rule = rule_of(open_after=f"{count} of {count + more}")
    rules, runs = CompiledRules([rule]), samples(letters)
    activity: Activity | None = None
    lazy, found = Alert("job", "failed"), []
    for end, run in enumerate(runs, 1):
        activity = rules.observe(activity, run)
        if activity is not None or lazy.is_active:
            lazy = evaluate(rule, lazy, history_of(runs[:end]), NO_FACTS, run.finished_at)
        found.append(lazy)
    assert found == states_after(rule, runs)


def test_a_pending_alert_ends_with_its_condition_whatever_close_after_requires() -> None:
    rule = rule_of(open_after=1, close_after=3, for_="5m")
    assert [each.status for each in states_after(rule, samples("FFS"))] == ["pending", "pending", "inactive"]


def test_close_after_closes_an_alert_that_fires() -> None:
    states = states_after(rule_of(open_after=1, close_after=3), samples("FSSS"))
    assert [each.status for each in states] == ["firing", "firing", "firing", "resolved"]


def test_a_firing_alert_fails_since_the_first_bad_run_of_the_window_in_which_it_became_pending() -> None:
    states = states_after(rule_of(open_after="2 of 3", for_="5m"), samples("SFSFFSFFSFF"))
    fired = next(each for each in states if each.is_firing)
    assert (fired.changed_at, fired.failing_since) == (START + 8 * MINUTE, START + MINUTE)
    assert {each.failing_since for each in states if each.is_firing} == {fired.failing_since}
