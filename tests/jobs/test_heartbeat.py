"""The states of a heartbeat, by the cases of others and by what always holds."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.definition import JobDefinition
from jobs.heartbeat import (
    HeartbeatRecord,
    HeartbeatState,
    Ping,
    PingSchedule,
    PingSignal,
    apply_ping,
    down_at,
    due_at,
    ping_schedule_of,
    state_at,
)
from jobs.schedules import parse_schedule
from jobs.targets import HeartbeatTarget

CASES = json.loads((Path(__file__).parents[1] / "data/heartbeats/states.json").read_text(encoding="utf-8"))["cases"]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
DAILY = PingSchedule(period=86400.0, grace=3600.0)
OVERLONG = PingSchedule(period=86400.0, grace=60.0, max_duration=600.0)


def at(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def job_of(case: dict[str, Any]) -> JobDefinition:
    """The job as somebody would define it."""
    when: dict[str, Any] = {"period": f"{case['period']}s"} if "period" in case else {}
    if "cron" in case:
        end = {"end": case["end"]} if "end" in case else {}
        when = {"schedule": {"cron": case["cron"], "timezone": case["zone"], **end}}
    check = {"kind": "heartbeat", "token": {"secret": "x"}, "grace": f"{case['grace']}s", **when}
    return JobDefinition.model_validate({"name": "nightly", "check": check})


def beat_of(case: dict[str, Any]) -> tuple[HeartbeatRecord, PingSchedule, datetime]:
    now = datetime.fromisoformat(case["now"]) if "now" in case else NOW
    pinged = datetime.fromisoformat(case["pinged"]) if "pinged" in case else None
    if "pinged_before" in case:
        pinged = now - timedelta(seconds=case["pinged_before"])
    started = now - timedelta(seconds=case["started_before"]) if "started_before" in case else None
    target = job_of(case).check
    assert isinstance(target, HeartbeatTarget)
    return HeartbeatRecord(HeartbeatState(case["is"]), pinged, last_start=started), ping_schedule_of(target), now


@pytest.mark.parametrize("case", CASES, ids=[f"{case['case']} {case['what']}" for case in CASES])
def test_the_cases_of_others_hold(case: dict[str, Any]) -> None:
    beat, rhythm, now = beat_of(case)
    then, goes_down, due = case["then"], down_at(beat, rhythm), due_at(beat, rhythm)
    found = {
        "due": None if due is None else f"{due.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "state": str(state_at(beat, rhythm, now)),
        "shown": str(state_at(beat, rhythm, now, include_started=True)),
        "down_in": None if goes_down is None else (goes_down - now).total_seconds(),
    }
    assert {key: found[key] for key in then} == then


@pytest.mark.parametrize(
    ("beat", "seconds"),
    [
        (HeartbeatRecord(), None),
        (HeartbeatRecord(HeartbeatState.PAUSED, at(-2 * 86400)), None),
        (HeartbeatRecord(HeartbeatState.PAUSED, last_start=at(-2 * 86400)), -2 * 86400 + 3600),
        (HeartbeatRecord(HeartbeatState.DOWN, at(-3600)), None),
        (HeartbeatRecord(HeartbeatState.DOWN, last_start=at(-600)), None),
        (HeartbeatRecord(HeartbeatState.NEW, last_start=at(-600)), 3000),
        (HeartbeatRecord(HeartbeatState.UP, at(-3600), last_start=at(-600)), 3000),
        (HeartbeatRecord(HeartbeatState.UP, at(-90000 + 60), last_start=at(-10)), 60),
    ],
)
def test_when_it_fails_is_the_first_of_its_limits(beat: HeartbeatRecord, seconds: float | None) -> None:
    assert down_at(beat, DAILY) == (None if seconds is None else at(seconds))


def test_a_run_may_be_given_more_time_than_a_late_ping() -> None:
    beat = HeartbeatRecord(HeartbeatState.UP, at(-100), last_start=at(-300))
    assert state_at(beat, OVERLONG, NOW, include_started=True) is HeartbeatState.STARTED
    assert state_at(beat, OVERLONG, at(300)) is HeartbeatState.DOWN


def test_a_schedule_that_never_comes_again_leaves_it_up() -> None:
    over = parse_schedule({"cron": "0 0 3 * * *", "end": "2026-02-01"})
    assert (
        state_at(HeartbeatRecord(HeartbeatState.UP, NOW), PingSchedule(schedule=over), at(10**8)) is HeartbeatState.UP
    )


def test_the_rhythm_is_that_of_the_target() -> None:
    target = HeartbeatTarget.model_validate(
        {"kind": "heartbeat", "token": {"secret": "x"}, "period": "1h", "grace": "5m", "max_duration": "10m"}
    )
    assert ping_schedule_of(target) == PingSchedule(3600.0, None, 300.0, 600.0)


# --- what pings make of it ---


def test_the_first_good_ping_makes_it_up() -> None:
    beat = apply_ping(HeartbeatRecord(), Ping(NOW, PingSignal.SUCCESS, source="10.0.0.1", agent="curl/8"))
    assert (beat.state, beat.last_success, beat.number) == (HeartbeatState.UP, NOW, 1)
    assert (beat.source, beat.agent, due_at(beat, DAILY)) == ("10.0.0.1", "curl/8", at(86400))


def test_a_failure_makes_it_down_at_once_and_a_success_up_again() -> None:
    failed = apply_ping(HeartbeatRecord(), Ping(NOW, PingSignal.FAIL, exit_code=3, body="disk full"))
    assert (state_at(failed, DAILY, NOW), failed.exit_code, failed.body) == (HeartbeatState.DOWN, 3, "disk full")
    good = apply_ping(failed, Ping(at(10), PingSignal.SUCCESS, exit_code=0))
    assert (state_at(good, DAILY, at(10)), good.exit_code, good.last_fail) == (HeartbeatState.UP, 0, NOW)


def test_a_run_is_timed_from_its_start_to_its_end() -> None:
    started = apply_ping(HeartbeatRecord(), Ping(NOW, PingSignal.START, run="a"))
    assert apply_ping(started, Ping(at(90), PingSignal.SUCCESS, run="a")).duration_s == 90.0


@pytest.mark.parametrize(
    ("signal", "run", "goes_on"),
    [
        (PingSignal.SUCCESS, "b", True),
        (PingSignal.SUCCESS, "", False),
        (PingSignal.FAIL, "b", False),
        (PingSignal.SUCCESS, "a", False),
    ],
)
def test_the_end_of_another_run_leaves_a_start_open(signal: PingSignal, run: str, goes_on: bool) -> None:
    ended = apply_ping(
        apply_ping(HeartbeatRecord(), Ping(NOW, PingSignal.START, run="a")), Ping(at(5), signal, run=run)
    )
    assert (ended.last_start is not None) is goes_on
    assert (ended.duration_s is not None) is (run == "a")


def test_a_start_does_not_mend_what_is_down() -> None:
    failed = apply_ping(HeartbeatRecord(), Ping(NOW, PingSignal.FAIL))
    again = apply_ping(failed, Ping(at(5), PingSignal.START))
    assert state_at(again, DAILY, at(6)) is HeartbeatState.DOWN
    assert state_at(again, DAILY, at(6), include_started=True) is HeartbeatState.STARTED


def test_a_run_that_is_overdue_stays_so_when_another_one_begins() -> None:
    beat = apply_ping(HeartbeatRecord(), Ping(NOW, PingSignal.SUCCESS), DAILY)
    beat = apply_ping(beat, Ping(at(10), PingSignal.START), DAILY)
    again = apply_ping(beat, Ping(at(3610), PingSignal.START), DAILY)
    assert state_at(again, DAILY, at(3620)) is HeartbeatState.DOWN
    assert not again.failed
    good = apply_ping(again, Ping(at(3630), PingSignal.SUCCESS), DAILY)
    assert (state_at(good, DAILY, at(3630)), good.overran) == (HeartbeatState.UP, False)


def test_a_run_that_is_tried_again_in_time_gets_the_whole_time_again() -> None:
    beat = apply_ping(
        apply_ping(HeartbeatRecord(), Ping(NOW, PingSignal.START), DAILY), Ping(at(3599), PingSignal.START), DAILY
    )
    assert (beat.state, down_at(beat, DAILY)) == (HeartbeatState.NEW, at(3599 + 3600))


def test_a_text_changes_nothing_but_the_count() -> None:
    beat = apply_ping(apply_ping(HeartbeatRecord(), Ping(NOW, PingSignal.START, run="a")), Ping(at(5), PingSignal.FAIL))
    assert apply_ping(beat, Ping(at(9), PingSignal.LOG, run="b", body="x")) == replace(beat, number=3)


# --- the first ping, and pauses ---


@pytest.mark.parametrize(
    ("beat", "goes_down"),
    [
        (HeartbeatRecord(), None),
        (HeartbeatRecord(known_since=at(-5)), 7195),
        (HeartbeatRecord(known_since=at(-5), paused=(at(-3), at(0))), 7195),
        (HeartbeatRecord(known_since=at(-7205), paused=(at(-10), at(-1))), 7199),
        (HeartbeatRecord(known_since=at(-9000), last_start=NOW), 3600),
        (HeartbeatRecord(HeartbeatState.UP, NOW, known_since=at(-9000)), 86400 + 3600),
        (HeartbeatRecord(HeartbeatState.DOWN, NOW, known_since=at(-9000)), None),
    ],
)
def test_the_first_ping_may_be_given_a_time_from_when_the_job_exists(
    beat: HeartbeatRecord, goes_down: float | None
) -> None:
    rhythm = PingSchedule(period=86400.0, first_within=7200.0)
    assert down_at(beat, rhythm) == (None if goes_down is None else at(goes_down))
    if goes_down is not None:
        assert state_at(beat, rhythm, at(goes_down - 0.001)) is not HeartbeatState.DOWN
        assert state_at(beat, rhythm, at(goes_down)) is HeartbeatState.DOWN


NIGHTLY = PingSchedule(schedule=parse_schedule({"cron": "0 0 3 * * *"}), grace=3600.0)
FRIDAY, MONDAY = datetime(2026, 2, 27, 18, tzinfo=UTC), datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rhythm", "beat", "goes_down"),
    [
        (
            NIGHTLY,
            HeartbeatRecord(HeartbeatState.UP, datetime(2026, 2, 27, 3, 5, tzinfo=UTC)),
            datetime(2026, 3, 3, 4, tzinfo=UTC),
        ),
        (
            DAILY,
            HeartbeatRecord(HeartbeatState.UP, datetime(2026, 2, 27, 3, 5, tzinfo=UTC)),
            MONDAY + timedelta(hours=25),
        ),
        (
            NIGHTLY,
            HeartbeatRecord(HeartbeatState.UP, datetime(2026, 2, 26, 3, 5, tzinfo=UTC)),
            datetime(2026, 2, 27, 4, tzinfo=UTC),
        ),
        (
            NIGHTLY,
            HeartbeatRecord(HeartbeatState.UP, datetime(2026, 3, 2, 3, 5, tzinfo=UTC)),
            datetime(2026, 3, 3, 4, tzinfo=UTC),
        ),
        (
            NIGHTLY,
            HeartbeatRecord(HeartbeatState.NEW, last_start=FRIDAY - timedelta(minutes=5)),
            MONDAY + timedelta(hours=1),
        ),
        (
            NIGHTLY,
            HeartbeatRecord(HeartbeatState.NEW, last_start=FRIDAY - timedelta(hours=2)),
            FRIDAY - timedelta(hours=1),
        ),
        (NIGHTLY, HeartbeatRecord(HeartbeatState.DOWN, FRIDAY), None),
    ],
    ids=["nightly", "daily", "missed before", "pinged meanwhile", "a run goes on", "a run was overdue", "failed"],
)
def test_what_fell_due_in_a_pause_is_not_missing_when_it_is_over(
    rhythm: PingSchedule, beat: HeartbeatRecord, goes_down: datetime | None
) -> None:
    assert down_at(replace(beat, paused=(FRIDAY, MONDAY)), rhythm) == goes_down


def test_a_ping_from_a_clock_that_is_behind_takes_nothing_back() -> None:
    beat = apply_ping(apply_ping(HeartbeatRecord(), Ping(at(5), PingSignal.SUCCESS)), Ping(NOW, PingSignal.SUCCESS))
    assert (beat.last_ping, beat.number) == (at(5), 2)


# --- what always holds ---

SECONDS = st.integers(0, 200_000).map(float)
SIGNALS = st.sampled_from(PingSignal)
PINGS = st.lists(st.tuples(SECONDS, SIGNALS, st.sampled_from(["", "a", "b"])), max_size=8).map(
    lambda pings: [Ping(at(s), signal, run=run) for s, signal, run in sorted(pings, key=lambda one: one[0])]
)
RHYTHMS = st.builds(
    PingSchedule,
    st.floats(1, 90_000),
    st.none(),
    st.floats(1, 9000),
    st.one_of(st.none(), st.floats(1, 9000)),
    st.one_of(st.none(), st.floats(1, 90_000)),
)
PAUSES = st.one_of(st.none(), st.tuples(SECONDS, SECONDS).map(lambda pair: (at(min(pair)), at(max(pair)))))


def beat_after(
    pings: list[Ping], rhythm: PingSchedule | None = None, paused: tuple[datetime, datetime] | None = None
) -> HeartbeatRecord:
    beat = HeartbeatRecord(known_since=NOW, paused=paused)
    for ping in pings:
        beat = apply_ping(beat, ping, rhythm)
    return beat


@given(PINGS, RHYTHMS, PAUSES, SECONDS)
def test_it_is_down_from_the_instant_at_which_it_fails_and_never_before(
    pings: list[Ping], rhythm: PingSchedule, paused: tuple[datetime, datetime] | None, later: float
) -> None:
    beat = beat_after(pings, rhythm, paused)
    goes_down = down_at(beat, rhythm)
    now = (pings[-1].at if pings else NOW) + timedelta(seconds=later)
    if goes_down is not None:
        assert (state_at(beat, rhythm, now) is HeartbeatState.DOWN) is (now >= goes_down)
    else:
        assert state_at(beat, rhythm, now) in (HeartbeatState.NEW, HeartbeatState.DOWN, HeartbeatState.PAUSED)


@given(PINGS, RHYTHMS, SECONDS, SECONDS)
def test_without_a_ping_it_never_gets_better(
    pings: list[Ping], rhythm: PingSchedule, first: float, second: float
) -> None:
    beat, begin = beat_after(pings, rhythm), pings[-1].at if pings else NOW
    order = [HeartbeatState.NEW, HeartbeatState.UP, HeartbeatState.GRACE, HeartbeatState.DOWN]
    early, late = sorted((first, second))
    states = [state_at(beat, rhythm, begin + timedelta(seconds=s)) for s in (early, late)]
    assert order.index(states[0]) <= order.index(states[1])


@given(PINGS, RHYTHMS)
def test_a_success_that_rejects_run_makes_it_up_whatever_was(pings: list[Ping], rhythm: PingSchedule) -> None:
    last = pings[-1].at if pings else NOW
    beat = apply_ping(beat_after(pings, rhythm), Ping(last, PingSignal.SUCCESS), rhythm)
    assert state_at(beat, rhythm, last, include_started=True) is HeartbeatState.UP


@given(PINGS, RHYTHMS)
def test_only_a_good_end_fixes_what_is_down(pings: list[Ping], rhythm: PingSchedule) -> None:
    beat = HeartbeatRecord(known_since=NOW)
    for ping in pings:
        before, beat = state_at(beat, rhythm, ping.at), apply_ping(beat, ping, rhythm)
        if ping.signal is not PingSignal.SUCCESS and before is HeartbeatState.DOWN:
            assert state_at(beat, rhythm, ping.at) is HeartbeatState.DOWN


@given(PINGS)
def test_every_ping_is_counted_and_none_changes_the_past(pings: list[Ping]) -> None:
    beat = beat_after(pings)
    assert beat.number == len(pings)
    assert replace(beat, number=0) == replace(beat_after(pings), number=0)
