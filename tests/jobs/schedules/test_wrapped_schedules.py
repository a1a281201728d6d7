"""Offset, jitter, several schedules, start and end."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from config.job_files.entries import PartInterner
from jobs.definition import JobDefinition
from jobs.errors import ScheduleError
from jobs.schedules import (
    BoundedSchedule,
    DefaultSchedule,
    IntervalSchedule,
    JitteredSchedule,
    Schedule,
    UnionSchedule,
    bind_to_job,
    parse_schedule,
    split_shift,
    zone_of,
)
from jobs.schedules.explanations import explain_schedule
from tests.jobs.schedules.schedule_cases import cases

NAMES = [f"job-{number}" for number in range(500)]


def upcoming(schedule: Schedule, after: str, count: int) -> list[str]:
    """The next due instants, fewer if there are no more."""
    found: list[str] = []
    instant: datetime | None = datetime.fromisoformat(after)
    while len(found) < count and instant is not None:
        instant = schedule.next_after(instant)
        if instant is not None:
            found.append(instant.isoformat().replace("+00:00", "Z"))
    return found


@pytest.mark.parametrize("case", cases("plans"))
def test_due_instants_of_combined_schedules_are_those_of_others(case: dict[str, Any]) -> None:
    assert upcoming(parse_schedule(case["schedule"]), case["after"], len(case["due"])) == case["due"]


# --- Offset


def test_an_offset_moves_every_instant_of_an_interval() -> None:
    schedule = parse_schedule({"every": "5m", "offset": "30s"})

    assert upcoming(schedule, "2026-01-01T00:00:30Z", 2) == ["2026-01-01T00:05:30Z", "2026-01-01T00:10:30Z"]
    assert upcoming(schedule, "1969-12-31T23:56:00Z", 1) == ["1970-01-01T00:00:30Z"]


def test_an_offset_is_written_and_read_back() -> None:
    schedule = parse_schedule({"every": "5m", "offset": "30s"})

    assert schedule.text == "every 5m offset 30s"
    assert schedule.spec == {"every": "5m", "offset": "30s"}
    assert parse_schedule(schedule.text) == parse_schedule(schedule.spec) == schedule != IntervalSchedule(300)


# --- Jitter


def jittered(job: str, **schedule: str) -> JitteredSchedule:
    found = bind_to_job(parse_schedule({"jitter": "20s", **schedule}), job)
    assert isinstance(found, JitteredSchedule)
    return found


def test_jitter_moves_a_job_by_the_same_time_always() -> None:
    one, again = jittered("checkout", cron="0 0 3 * * *"), jittered("checkout", cron="0 0 3 * * *")
    first, second = upcoming(one, "2026-01-01T00:00:00Z", 2)

    assert one == again
    assert datetime.fromisoformat(second) - datetime.fromisoformat(first) == timedelta(days=1)
    assert upcoming(again, "2026-01-01T00:00:00Z", 1) == [first]


def test_jitter_never_changes_between_versions_of_the_program() -> None:
    assert [jittered(name, every="5m").shift_ms for name in ("checkout", "database", "a")] == [14885, 17582, 5075]


def test_jitter_spreads_jobs_evenly_and_stays_below_its_length() -> None:
    shifts = sorted(jittered(name, cron="0 0 3 * * *").shift_ms for name in NAMES)

    assert shifts[0] >= 0
    assert shifts[-1] < 20_000
    assert all(abs(sum(low <= shift < low + 5000 for shift in shifts) - 125) < 40 for low in range(0, 20_000, 5000))


def test_jitter_longer_than_an_interval_keeps_to_one_instant_each() -> None:
    for name in NAMES[:50]:
        due = upcoming(jittered(name, every="90m", jitter="24h"), "2022-03-23T11:59:59.999Z", 2)
        first, second = map(datetime.fromisoformat, due)
        assert second - first == timedelta(minutes=90)
        assert jittered(name, every="90m", jitter="24h").shift_ms < 5_400_000


def test_a_moved_instant_is_found_from_just_before_it() -> None:
    schedule = jittered("checkout", cron="0 0 3 * * *")
    due = schedule.next_after(datetime(2026, 1, 1, tzinfo=UTC))

    assert due is not None
    assert schedule.next_after(due - timedelta(milliseconds=1)) == due
    assert schedule.next_after(datetime(1, 1, 1, tzinfo=UTC)) is not None
    assert schedule.next_after(datetime.max.replace(tzinfo=UTC)) is None


def test_a_bare_schedule_has_no_job_and_is_not_moved() -> None:
    assert upcoming(parse_schedule({"every": "1h", "jitter": "20s"}), "2026-01-01T00:30:00Z", 1) == [
        "2026-01-01T01:00:00Z"
    ]


def test_jitter_reaches_into_lists_and_limits_and_leaves_others_as_they_are() -> None:
    inner = {"every": "5m", "jitter": "20s"}
    schedule = bind_to_job(parse_schedule([{**inner, "end": "2027-01-01"}, "0 0 3 * * *"]), "checkout")
    plain = parse_schedule(["0 0 3 * * *", {"every": "5m", "end": "2027-01-01"}])

    assert schedule != parse_schedule(schedule.spec)
    assert bind_to_job(parse_schedule(schedule.spec), "checkout") == schedule
    assert bind_to_job(plain, "checkout") is plain


def test_a_definition_gives_its_name_to_the_jitter_even_when_the_schedule_is_shared() -> None:
    shared, schedules = PartInterner(), {}
    for name in ("a", "b"):
        written = {"name": name, "schedule": {"every": "5m", "jitter": "1m"}, "check": {"url": "http://127.0.0.1/"}}
        job = JobDefinition.model_validate(shared.reuse(written))
        shared.remember(written, job)
        schedules[name] = job.schedule

    assert schedules == {name: jittered(name, every="5m", jitter="1m") for name in ("a", "b")}
    assert schedules["a"] != schedules["b"]


# --- Several


def test_an_instant_of_two_schedules_is_due_once() -> None:
    schedule = parse_schedule(["0 0 * * * *", {"every": "30m"}])

    assert isinstance(schedule, UnionSchedule)
    assert upcoming(schedule, "2026-01-01T00:10:00Z", 3) == [
        "2026-01-01T00:30:00Z",
        "2026-01-01T01:00:00Z",
        "2026-01-01T01:30:00Z",
    ]


def test_a_list_continues_when_one_of_its_schedules_has_ended() -> None:
    schedule = parse_schedule([{"every": "1h", "end": "2026-01-01T01:00:00Z"}, "0 0 12 * * *"])

    assert upcoming(schedule, "2026-01-01T00:10:00Z", 2) == ["2026-01-01T01:00:00Z", "2026-01-01T12:00:00Z"]


def test_a_list_of_one_is_that_one() -> None:
    assert parse_schedule(["every 5m"]) == IntervalSchedule(300)


def test_a_list_is_as_its_parts() -> None:
    schedule = parse_schedule(["0 0 3 * * *", "*/5 * * * * *"])

    assert (schedule.is_interval_like, schedule.monitor_disabled) == (True, True)
    assert schedule.text == "0 0 3 * * *; */5 * * * * *"
    assert schedule.spec == ["0 0 3 * * *", "*/5 * * * * *"]


# --- Start and end


def test_start_and_end_belong_to_the_time_in_which_a_job_is_due() -> None:
    schedule = parse_schedule({"every": "1h", "start": "2026-01-01T02:00:00Z", "end": "2026-01-01T04:00:00Z"})

    assert upcoming(schedule, "2020-01-01T00:00:00Z", 9) == [f"2026-01-01T0{hour}:00:00Z" for hour in (2, 3, 4)]


def test_start_and_end_without_an_offset_are_on_the_schedules_clock() -> None:
    schedule = parse_schedule(
        {"cron": "0 0 * * * *", "timezone": "Asia/Kolkata", "start": "2026-01-01T02:00", "end": "2026-01-01T03:00:00"}
    )

    assert upcoming(schedule, "2020-01-01T00:00:00Z", 9) == ["2025-12-31T20:30:00Z", "2025-12-31T21:30:00Z"]


def test_a_date_alone_is_a_whole_day_at_both_ends() -> None:
    schedule = parse_schedule({"every": "12h", "start": "2026-01-01", "end": "2026-01-01"})

    assert upcoming(schedule, "2020-01-01T00:00:00Z", 9) == ["2026-01-01T00:00:00Z", "2026-01-01T12:00:00Z"]


def test_the_end_of_the_calendar_may_be_the_end() -> None:
    schedule = parse_schedule({"every": "12h", "end": "9999-12-31"})

    assert upcoming(schedule, "9999-12-31T11:00:00Z", 2) == ["9999-12-31T12:00:00Z"]


def test_an_interval_may_have_a_zone_for_its_limits_only() -> None:
    schedule = parse_schedule({"every": "1h", "timezone": "Asia/Tokyo", "start": "2026-01-01"})

    assert upcoming(schedule, "2020-01-01T00:00:00Z", 1) == ["2025-12-31T15:00:00Z"]
    assert getattr(zone_of(schedule), "name", None) == "Asia/Tokyo"


# --- All together

WHOLE: dict[str, Any] = {
    "cron": "0 */10 * * * *",
    "timezone": "Europe/Berlin",
    "dst": {"repeat": "first"},
    "jitter": "20s",
    "start": "2026-01-01",
    "end": "2026-12-31T12:00:00+01:00",
    "except": [
        {"dates": ["2026-12-24", "2026-12-31"]},
        {"weekly": {"days": "SAT,SUN", "from": "22:00", "to": "06:00"}},
        {"holidays": "DE", "subdivision": "BE"},
    ],
}


@pytest.mark.parametrize("written", [WHOLE, [WHOLE, "every 5m offset 30s"], {"cron": "@daily", "end": "2027-01-01"}])
def test_a_spec_is_what_was_written_and_is_read_back(written: Any) -> None:
    schedule = parse_schedule(written)

    assert parse_schedule(schedule.spec) == schedule
    assert hash(parse_schedule(schedule.spec)) == hash(schedule)
    assert pickle.loads(pickle.dumps(schedule)) == schedule
    assert isinstance(schedule, Schedule)


def test_a_whole_spec_is_stored_word_by_word() -> None:
    assert parse_schedule(WHOLE).spec == WHOLE


def test_the_text_reports_all_of_it() -> None:
    assert parse_schedule(WHOLE).text == (
        "0 */10 * * * * Europe/Berlin, repeat first, jitter 20s, from 2026-01-01, until 2026-12-31T12:00:00+01:00, "
        "except 2026-12-24, 2026-12-31, SAT, SUN 22:00-06:00, holidays of DE-BE"
    )


def test_kinds_are_those_of_what_is_limited() -> None:
    schedule = parse_schedule({"every": "5s", "jitter": "1s", "end": "2027-01-01"})

    assert isinstance(schedule, BoundedSchedule)
    assert (schedule.is_interval_like, schedule.monitor_disabled) == (True, True)


def test_an_unknown_key_is_refused_with_the_one_that_was_meant() -> None:
    with pytest.raises(ScheduleError, match="exept: unknown key, did you mean except"):
        parse_schedule({"every": "5m", "exept": []})


def test_what_many_jobs_share_of_a_schedule_is_reported_from_what_each_adds() -> None:
    plain = parse_schedule("every 5m")
    moved = bind_to_job(parse_schedule({"every": "5m", "offset": "30s", "jitter": "20s"}), "checkout")

    shared, shift = split_shift(moved)

    assert split_shift(plain) == (plain, 0)
    assert shared == plain
    assert 30_000 <= shift < 50_000
    for instant in (0, shift - 1, shift, shift + 1, 10**12):
        due = plain.next_after_ms(instant - shift)
        assert due is not None
        assert moved.next_after_ms(instant) == due + shift


# --- The default schedule ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["0 * * * * *", {"every": "5m", "offset": "30s"}, ["0 0 9 * * *", {"every": "6h"}]])
def test_a_default_schedule_differs_in_its_text_alone(written: Any) -> None:
    schedule = parse_schedule(written)
    default = DefaultSchedule(schedule)
    assert default.text == f"{schedule.text} (default_schedule)"
    assert default.spec == schedule.spec
    assert (default.is_interval_like, default.monitor_disabled) == (
        schedule.is_interval_like,
        schedule.monitor_disabled,
    )
    assert default.next_after_ms(0) == schedule.next_after_ms(0)
    assert split_shift(default) == split_shift(schedule)


def test_a_default_schedule_is_explained_with_where_it_comes_from() -> None:
    assert (
        explain_schedule(DefaultSchedule(parse_schedule("0 * * * * *")))
        == "Every minute (from the setting default_schedule)"
    )


def test_a_default_schedule_has_the_zone_and_the_jitter_of_its_own() -> None:
    default = DefaultSchedule(parse_schedule({"cron": "0 0 3 * * *", "timezone": "Europe/Berlin", "jitter": "50s"}))
    found = zone_of(default)
    assert found is not None
    assert found.name == "Europe/Berlin"
    assert bind_to_job(default, "a") != bind_to_job(default, "b")
    assert bind_to_job(DefaultSchedule(parse_schedule("every 5m")), "a") == DefaultSchedule(parse_schedule("every 5m"))
