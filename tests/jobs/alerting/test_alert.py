"""How verdicts change an alert."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from jobs.alerting.alert import Alert, AlertStatus, Verdict, advance, fires_at

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
INACTIVE = Alert("checkout", "failed")
MET, NOT_MET, UNKNOWN = Verdict(True, "3 of 5 runs failed", START - MINUTE), Verdict(False), Verdict(None)


def test_it_fires_at_once_without_a_minimum_duration() -> None:
    alert = advance(INACTIVE, MET, START)
    assert (alert.status, alert.number, alert.changed_at) == (AlertStatus.FIRING, 1, START)
    assert (alert.failing_since, alert.evidence) == (START - MINUTE, "3 of 5 runs failed")


def test_it_fires_when_the_condition_was_met_for_the_minimum_duration() -> None:
    pending = advance(INACTIVE, MET, START, 5 * MINUTE)
    assert (pending.status, fires_at(pending, 5 * MINUTE)) == (AlertStatus.PENDING, START + 5 * MINUTE)
    assert advance(pending, MET, START + 4 * MINUTE, 5 * MINUTE) is pending
    assert advance(pending, MET, START + 5 * MINUTE, 5 * MINUTE).status is AlertStatus.FIRING


def test_a_condition_that_was_not_met_meanwhile_starts_again() -> None:
    pending = advance(INACTIVE, MET, START, 5 * MINUTE)
    ended = advance(pending, NOT_MET, START + MINUTE, 5 * MINUTE)
    again = advance(ended, MET, START + 2 * MINUTE, 5 * MINUTE)
    assert (ended.status, again.met_since) == (AlertStatus.INACTIVE, START + 2 * MINUTE)


def test_it_resolves_and_fires_again_with_another_number() -> None:
    resolved = advance(advance(INACTIVE, MET, START), NOT_MET, START + MINUTE)
    again = advance(resolved, MET, START + 2 * MINUTE)
    assert (resolved.status, resolved.number) == (AlertStatus.RESOLVED, 1)
    assert (again.status, again.number) == (AlertStatus.FIRING, 2)


def test_what_is_not_known_changes_nothing() -> None:
    firing = advance(INACTIVE, MET, START)
    assert advance(firing, UNKNOWN, START + MINUTE) is firing
    assert advance(INACTIVE, UNKNOWN, START) is INACTIVE


@given(
    st.lists(st.tuples(st.sampled_from([MET, NOT_MET, UNKNOWN]), st.integers(-5, 30)), max_size=30), st.integers(0, 5)
)
def test_a_repetition_changes_nothing_and_changes_are_in_order(steps: list[tuple[Verdict, int]], minimum: int) -> None:
    alert, now = INACTIVE, START
    for verdict, minutes in steps:
        now += minutes * MINUTE  # clocks of processes differ
        following = advance(alert, verdict, now, minimum * MINUTE)
        assert advance(following, verdict, now, minimum * MINUTE) == following
        if alert.changed_at is not None and following.changed_at is not None:
            assert following.changed_at >= alert.changed_at
        assert following.number in (alert.number, alert.number + 1)
        alert = following
