"""The condition `slower_than_usual`: a job's response times of whole hours against the same hours of earlier days."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.alerting.alert import Alert, Verdict
from jobs.alerting.comparison import HOUR, SETTLE, HoursNeed, HourSpan, ResponseHours, last_complete_hour
from jobs.alerting.conditions.slower_than_usual import SlowerThanUsualCondition
from jobs.alerting.facts import SampleHistory, SubjectFacts
from jobs.alerting.rule import AlertRule, CompiledRules, evaluate
from jobs.model_base import FILE_CONTEXT
from jobs.runs.histogram import MAX_RELATIVE_ERROR, Histogram
from scheduler.alerting.replay.alerts import JobAlerts

END = datetime(2026, 3, 30, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
LONG_AGO = END - timedelta(days=300)


def rule_of(**more: Any) -> AlertRule:
    return AlertRule.model_validate({"when": {"slower_than_usual": "50%", **more}}, context=FILE_CONTEXT)


def condition_of(**more: Any) -> SlowerThanUsualCondition:
    condition = rule_of(**more).when
    assert isinstance(condition, SlowerThanUsualCondition)
    return condition


def times(milliseconds: float, count: int = 60) -> Histogram:
    histogram = Histogram()
    for _ in range(count):
        histogram.add(milliseconds)
    return histogram


def encoded(hours: dict[datetime, Histogram]) -> dict[datetime, list[int]]:
    return {begin: histogram.encode() for begin, histogram in hours.items()}


def weeks(latest: float, *earlier: float | None, count: int = 60) -> dict[datetime, Histogram]:
    """An hour of this response time up to END, and the same of the weeks before; None: without runs."""
    values = (latest, *earlier)
    return {END - HOUR - number * WEEK: times(value, count) for number, value in enumerate(values) if value is not None}


def judge(hours: dict[datetime, Histogram], *, first: datetime | None = LONG_AGO, **more: Any) -> Verdict:
    spans = {name: tuple(more.pop(name, ())) for name in ("uncounted", "incidents")}
    condition = condition_of(**more)
    return condition.judge_hours(ResponseHours(encoded(hours), first, **spans).compare(condition.need, END))


@pytest.mark.parametrize(
    ("latest", "earlier", "is_met"),
    [
        (1000, (500, 500, 500, 500), True),
        (700, (500, 500, 500, 500), False),
        (1000, (500, 500, 500, 9000), True),
        (1000, (9000, 9000, 9000, 500), False),
        (90, (20, 20, 20, 20), False),
        (150, (20, 20, 20, 20), True),
        (1000, (500, None, 500, None), True),
        (1000, (500, None, None, None), None),
    ],
    ids=[
        "twice as long",
        "40 % longer",
        "one slow week",
        "usually longer",
        "below the floor",
        "above the floor",
        "half of the weeks",
        "one week",
    ],
)
def test_the_median_of_the_same_hours_a_ratio_and_a_floor_decide(
    latest: float, earlier: tuple[float | None, ...], is_met: bool | None
) -> None:
    assert judge(weeks(latest, *earlier)).is_met is is_met


def test_few_runs_are_not_judged() -> None:
    assert judge(weeks(1000, 500, 500, 500, 500, count=29)).is_met is None
    assert judge(weeks(1000, 500, 500, 500, 500, count=29), minimum_runs=29).is_met is True


def test_without_a_history_of_all_weeks_nothing_is_usual() -> None:
    hours = weeks(1000, 500, 500, 500)
    assert judge(hours, first=min(hours)).is_met is None
    oldest = END - 4 * WEEK
    assert judge(hours, first=oldest).is_met is None
    assert judge(hours, first=oldest - HOUR).is_met is True


def test_hours_of_incidents_and_windows_do_not_count() -> None:
    hours = weeks(1000, 500, 900, 900, 500)
    of_weeks = [HourSpan(END - number * WEEK - HOUR / 2, END - number * WEEK) for number in (2, 3)]
    assert judge(hours).is_met is False
    assert judge(hours, incidents=of_weeks).is_met is True
    assert judge(hours, uncounted=of_weeks).is_met is True
    now = [HourSpan(END - HOUR / 2, END)]
    assert judge(hours, incidents=[*of_weeks, *now]).is_met is True, "an incident stays open while it is slow"
    assert judge(hours, uncounted=[*of_weeks, *now]).is_met is None


def test_the_evidence_has_both_distributions() -> None:
    assert judge(weeks(1000, 500, 500, 510, 500)).evidence == (
        "p95 957 ms, usually 491 ms: more than 736 ms from 11:00 to 12:00 UTC "
        "(p50, p95, p99 of 60 responses 957 ms, 957 ms, 957 ms; usually 491 ms, 491 ms, 491 ms)"
    )


def test_the_evidence_fits_into_a_title() -> None:
    """Titles have the first 160 characters of it."""
    for factor in (1, 7, 40, 60):
        evidence = judge(weeks(999 * factor, *[444 * factor] * 4, count=3600)).evidence
        assert len(evidence) <= 160, evidence


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"slower_than_usual": 0.5}, None),
        ({"slower_than_usual": "0%"}, "like 50%, at most 1000%"),
        ({"slower_than_usual": 50}, "like 50%, at most 1000%"),
        ({"slower_than_usual": "1001%"}, "like 50%, at most 1000%"),
        ({"window": "90m"}, "whole hours"),
        ({"window": "30m"}, "greater than or equal to 3600"),
        ({"timezone": "Mars/Base"}, "is not an IANA time zone"),
        ({"weeks": 0}, "greater than or equal to 1"),
    ],
)
def test_wrong_values_are_refused_with_what_to_write(fields: dict[str, Any], message: str | None) -> None:
    if message is None:
        assert condition_of(**fields).slower_than_usual == 0.5
        return
    with pytest.raises(ValidationError, match=message):
        rule_of(**fields)


def test_a_rule_is_written_as_it_was_read() -> None:
    rule = rule_of(compared_with="same_hour_of_day", at_least="250ms", window="3h")
    written = rule.model_dump(mode="json", by_alias=True, exclude_defaults=True)["when"]
    assert written["slower_than_usual"] == "50%"
    assert AlertRule.model_validate({"when": written}, context=FILE_CONTEXT).when == rule.when


def test_the_same_hours_are_those_of_the_clocks_of_the_time_zone() -> None:
    """In Berlin the summer time of 2026 began on 29 March."""
    berlin, utc = (HoursNeed(1, 7, 1, zone) for zone in ("Europe/Berlin", "UTC"))
    assert [period.end.hour for period in berlin.list_periods(END)] == [12, 13]
    assert [period.end.hour for period in utc.list_periods(END)] == [12, 12]


def test_an_hour_is_judged_two_minutes_after_its_end() -> None:
    assert last_complete_hour(END + SETTLE) == END
    assert last_complete_hour(END + SETTLE - timedelta(seconds=1)) == END - HOUR


# --- by a reference that computes with the response times themselves, and by an evaluation after each hour

BEGIN = END - timedelta(hours=240)
Spans = list[tuple[int, int]]


def random_history(seed: int) -> tuple[dict[int, list[float]], Spans, Spans]:
    """Response times by hour, with a slow time and gaps; times that do not count, and incidents."""
    random = Random(seed)
    slow, factor = random.randrange(150, 240), random.choice([1.0, 1.3, 2.0, 4.0])
    samples: dict[int, list[float]] = {}
    for hour in range(random.choice([0, 0, 40]), 240):
        usual = random.choice([80.0, 200.0, 320.0]) * (factor if hour >= slow else 1.0)
        if random.random() < 0.9:
            samples[hour] = [usual * random.uniform(0.9, 1.1) for _ in range(random.randrange(1, 7))]
    spans = [[(random.randrange(240), random.randrange(1, 6)) for _ in range(random.randrange(3))] for _ in range(2)]
    return samples, spans[0], spans[1]


SETTINGS = {"compared_with": "same_hour_of_day", "weeks": 1, "minimum_runs": 3, "at_least": "50ms"}


def spans_of(spans: Spans) -> tuple[HourSpan, ...]:
    return tuple(HourSpan(BEGIN + begin * HOUR, BEGIN + (begin + length) * HOUR) for begin, length in spans)


def refer(
    samples: dict[int, list[float]],
    hour: int,
    uncounted: Spans,
    incidents: Spans,
) -> bool | None:
    """The definition, for one hour (by its number from BEGIN on)."""

    def is_in(spans: Spans, at: int) -> bool:
        return any(begin <= at < begin + length for begin, length in spans)

    def p95(at: int) -> float:
        ordered = sorted(samples[at])
        return ordered[max(math.ceil(0.95 * len(ordered)) - 1, 0)]

    if is_in(uncounted, hour) or len(samples.get(hour, ())) < 3:
        return None
    earlier = [hour - 24 * day for day in range(1, 8)]
    usable = [
        p95(at)
        for at in earlier
        if len(samples.get(at, ())) >= 3 and not is_in(uncounted, at) and not is_in(incidents, at)
    ]
    if min(samples) > earlier[-1] or 2 * len(usable) < 7:
        return None
    ordered = sorted(usable)
    middle = len(ordered) // 2
    usual = ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
    limit = max(usual * 1.5, usual + 50)
    value = p95(hour)
    if abs(value - limit) <= 2.5 * MAX_RELATIVE_ERROR * limit:
        return None  # the buckets of the histograms decide
    return value > limit


@given(st.integers(0, 2**32))
def test_the_verdict_is_that_of_a_reference_on_random_histories(seed: int) -> None:
    samples, uncounted, incidents = random_history(seed)
    condition, hours = condition_of(**SETTINGS), response_hours(samples, uncounted, incidents)
    for hour in range(168, 240):
        expected = refer(samples, hour, uncounted, incidents)
        verdict = condition.judge_hours(hours.compare(condition.need, BEGIN + (hour + 1) * HOUR))
        if expected is not None:
            assert verdict.is_met is expected, (hour, verdict.evidence)


def response_hours(samples: dict[int, list[float]], uncounted: Spans, incidents: Spans) -> ResponseHours:
    hours: dict[datetime, Histogram] = {}
    for hour, values in samples.items():
        histogram = hours[BEGIN + hour * HOUR] = Histogram()
        for value in values:
            histogram.add(value)
    return ResponseHours(encoded(hours), min(hours), spans_of(uncounted), spans_of(incidents))


@given(st.integers(0, 2**32), st.sampled_from(["1h", "3h"]))
def test_a_replay_judges_only_some_hours_and_finds_what_an_evaluation_after_each_hour_finds(
    seed: int, window: str
) -> None:
    samples, uncounted, incidents = random_history(seed)
    rule, hours = rule_of(**SETTINGS, window=window), response_hours(samples, uncounted, incidents)
    alert, expected = Alert("checkout", rule.name), []
    for hour in range(170, 240):
        now = BEGIN + hour * HOUR + SETTLE
        facts = SubjectFacts(
            compared={need: hours.compare(need, last_complete_hour(now)) for need in rule.needs.compared}
        )
        before, alert = alert, evaluate(rule, alert, SampleHistory(), facts, now)
        expected += (
            [(now, alert.status, alert.evidence)] if alert is not before and alert.status != before.status else []
        )

    condition = condition_of(**SETTINGS, window=window)
    judged = condition.list_judged_hours(hours, [BEGIN + hour * HOUR for hour in range(170, 240)])
    compared = {end: {condition.need: hours.compare(condition.need, end)} for end in judged}
    replayed = JobAlerts("checkout", CompiledRules([rule]), compared=compared)
    found, at = [], replayed.next_due(BEGIN + 170 * HOUR)
    while at is not None:
        changes = replayed.judge_time(at)
        found += [
            (at, each.after.status, each.after.evidence) for each in changes if each.before.status != each.after.status
        ]
        at = replayed.next_due(at)
    assert found == expected
