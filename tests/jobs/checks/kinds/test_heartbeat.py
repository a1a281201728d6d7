"""The check of a heartbeat says what came, what did not, and since when."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.checks import Checks
from jobs.checks.clock import PhaseClock
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.guard import LOCAL_GUARD
from jobs.checks.kinds.heartbeat import HeartbeatCheck
from jobs.checks.port import AttemptContext
from jobs.heartbeat import HeartbeatRecord, HeartbeatState, PingSchedule, describe_heartbeat, ping_schedule_of
from jobs.redaction import Redactor
from jobs.runs import ErrorClass, Observation
from jobs.targets import HeartbeatTarget
from tests.jobs.checks.http_check import MemorySecrets, MemoryTokens
from tests.scheduler.fakes import VirtualClock

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
TARGET = HeartbeatTarget.model_validate(
    {"kind": "heartbeat", "token": {"secret": "nightly"}, "period": "24h", "first_within": "24h"}
)
RUN = "nightly-backup@20260301T120000.000Z"


class KnownPings:
    def __init__(self, beat: HeartbeatRecord) -> None:
        self._beat = beat
        self.asked = ""

    async def beat(self, job: str) -> HeartbeatRecord:
        self.asked = job
        return self._beat


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


async def observed(
    beat: HeartbeatRecord, redactor: Redactor | None = None, token: str = "a-token-that-is-long"
) -> Observation:
    secrets = MemorySecrets({"nightly": token} if token else {})
    check = HeartbeatCheck(KnownPings(beat), secrets, VirtualClock(NOW), redactor or Redactor())
    return await check.observe(TARGET, AttemptContext(RUN, 1, PhaseClock()))


@pytest.mark.parametrize(
    ("beat", "state"),
    [
        (HeartbeatRecord(), "new"),
        (HeartbeatRecord(HeartbeatState.UP, ago(hours=1)), "up"),
        (HeartbeatRecord(HeartbeatState.UP, ago(hours=24, minutes=30)), "grace"),
        (HeartbeatRecord(HeartbeatState.UP, ago(hours=1), last_start=ago(minutes=5)), "started"),
    ],
)
async def test_what_is_not_down_is_good_and_reports_its_state(beat: HeartbeatRecord, state: str) -> None:
    found = await observed(beat)
    assert (found.error, found.facts["state"]) == (None, state)


@pytest.mark.parametrize(
    ("beat", "pending"),
    [
        (HeartbeatRecord(), "No ping has arrived yet."),
        (HeartbeatRecord(number=2), "Only log texts have arrived, no ping reports a result."),
        (
            HeartbeatRecord(known_since=ago(hours=1)),
            "No ping has arrived yet; the first is due by 2026-03-02 11:00:00Z.",
        ),
        (
            HeartbeatRecord(last_start=ago(minutes=1)),
            "No run has ended yet. A run started at 2026-03-01 11:59:00Z and must end by 2026-03-01 12:59:00Z.",
        ),
        (HeartbeatRecord(HeartbeatState.UP, ago(hours=1)), ""),
        (HeartbeatRecord(HeartbeatState.UP, ago(hours=24, minutes=30)), ""),
        (HeartbeatRecord(HeartbeatState.UP, ago(hours=99)), ""),
        (HeartbeatRecord(known_since=ago(hours=24)), ""),
        (HeartbeatRecord(last_start=ago(hours=2)), ""),
    ],
)
async def test_before_the_first_ping_nothing_is_known_unless_it_is_overdue(beat: HeartbeatRecord, pending: str) -> None:
    assert (await observed(beat)).pending == pending


async def test_a_missing_ping_reports_since_when_and_where_the_last_one_came_from() -> None:
    found = await observed(HeartbeatRecord(HeartbeatState.UP, ago(hours=26), source="10.1.2.3", agent="curl/8.5"))
    assert found.error is ErrorClass.HEARTBEAT_MISSING
    assert found.message == (
        "No ping since 2026-02-28 10:00:00Z, the next was due at 2026-03-01 10:00:00Z, and the grace of 1h is over; "
        "the last one came from 10.1.2.3 (curl/8.5)."
    )
    assert found.facts["due"] == "2026-03-01T10:00:00Z"


async def test_a_failure_reports_its_code_and_what_came_with_it() -> None:
    redactor = Redactor()
    redactor.add_permanent("hunter22")
    found = await observed(
        HeartbeatRecord(HeartbeatState.DOWN, ago(minutes=1), exit_code=3, body="disk full\n pw hunter22"), redactor
    )
    assert found.error is ErrorClass.HEARTBEAT_FAILED
    assert found.message == (
        "The last ping reported a failure, exit code 3, at 2026-03-01 11:59:00Z; "
        "the source of the last one is unknown. Its text: disk full pw ***"
    )


async def test_a_run_without_an_end_is_missing_its_ping() -> None:
    found = await observed(HeartbeatRecord(HeartbeatState.UP, ago(hours=3), last_start=ago(hours=2), source="10.1.2.3"))
    assert found.error is ErrorClass.HEARTBEAT_MISSING
    assert found.message.startswith("The run that started at 2026-03-01 10:00:00Z did not report its end within 1h;")


async def test_a_program_that_never_pinged_in_time_is_missing() -> None:
    found = await observed(HeartbeatRecord(known_since=ago(hours=24)))
    assert (found.error, found.facts["state"]) == (ErrorClass.HEARTBEAT_MISSING, "down")


async def test_an_overdue_run_is_missing_and_no_failure_when_another_one_began() -> None:
    found = await observed(HeartbeatRecord(HeartbeatState.DOWN, ago(hours=9), last_start=ago(minutes=1), overran=True))
    assert found.error is ErrorClass.HEARTBEAT_MISSING


async def test_what_is_down_stays_so_while_it_is_tried_again() -> None:
    found = await observed(HeartbeatRecord(HeartbeatState.DOWN, ago(minutes=9), last_start=ago(minutes=1)))
    assert (found.error, found.facts["state"]) == (ErrorClass.HEARTBEAT_FAILED, "down")


async def test_the_pings_of_its_own_job_are_checked() -> None:
    pings = KnownPings(HeartbeatRecord())
    checks = Checks(
        CheckDependencies(
            MemorySecrets(), MemoryTokens(), Redactor(), guard=LOCAL_GUARD, pings=pings, clock=VirtualClock(NOW)
        )
    )
    await checks.observe(TARGET, AttemptContext(RUN, 1, PhaseClock()))
    await checks.aclose()
    assert pings.asked == "nightly-backup"


@pytest.mark.parametrize(
    ("beat", "expected"),
    [
        (HeartbeatRecord(), "No ping has arrived yet."),
        (HeartbeatRecord(HeartbeatState.PAUSED, ago(hours=99)), "Paused: pings are stored, not judged."),
        (
            HeartbeatRecord(HeartbeatState.UP, ago(hours=1), source="::1"),
            "from ::1, the next is due at 2026-03-02 11:00:00Z.",
        ),
        (
            HeartbeatRecord(HeartbeatState.UP, ago(hours=24.5)),
            "Late: the last ping arrived at 2026-02-28 11:30:00Z, the next was due at",
        ),
        (
            HeartbeatRecord(last_start=ago(minutes=1)),
            "A run started at 2026-03-01 11:59:00Z and must end by 2026-03-01 12:59:00Z.",
        ),
        (HeartbeatRecord(HeartbeatState.DOWN, None), "No ping has arrived."),
        (
            HeartbeatRecord(known_since=ago(hours=1)),
            "No ping has arrived yet; the first is due by 2026-03-02 11:00:00Z.",
        ),
        (
            HeartbeatRecord(known_since=ago(days=2)),
            "No ping has ever arrived: the first was due within 1d after the job came into force at 2026-02-27",
        ),
        (
            HeartbeatRecord(HeartbeatState.DOWN, ago(hours=9), overran=True, source="::1"),
            "No run has reported success since 2026-03-01 03:00:00Z, and one was overdue; the last",
        ),
        (
            HeartbeatRecord(HeartbeatState.DOWN, overran=True, source="::1"),
            "No run has reported success yet, and one was overdue",
        ),
    ],
)
def test_every_state_is_reported_in_words(beat: HeartbeatRecord, expected: str) -> None:
    assert expected in describe_heartbeat(beat, ping_schedule_of(TARGET), NOW)


def test_a_schedule_that_is_over_waits_for_nothing() -> None:
    never: Any = type("Never", (), {"next_after": lambda self, instant: None})()
    reported = describe_heartbeat(HeartbeatRecord(HeartbeatState.UP, ago(hours=1)), PingSchedule(schedule=never), NOW)
    assert reported == "The last ping arrived at 2026-03-01 11:00:00Z; no other is due."


@pytest.mark.parametrize(("token", "words"), [("", "There is no secret nightly."), ("short", "at least 16 characters")])
async def test_a_heartbeat_that_no_one_can_ping_is_not_merely_new(token: str, words: str) -> None:
    for beat in (HeartbeatRecord(), HeartbeatRecord(known_since=ago(days=9))):
        found = await observed(beat, token=token)
        assert found.error is ErrorClass.SECRET_UNAVAILABLE
        assert words in found.message
    assert (await observed(HeartbeatRecord(HeartbeatState.UP, ago(hours=1)), token=token)).error is None
