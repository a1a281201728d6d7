"""The stopwatch of an attempt: what counts as the target's time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.checks.clock import Phase, PhaseClock

CALLS: tuple[Callable[[PhaseClock], object], ...] = (
    *(lambda clock, phase=phase: clock.enter(phase) for phase in ("dns", "connect", "tls", "first_byte", "body")),
    PhaseClock.mark_arrival,
    PhaseClock.end_at_arrival,
    PhaseClock.snapshot,
    PhaseClock.stop,
)


class Watch:
    """Seconds that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def clock(watch: Watch) -> PhaseClock:
    return PhaseClock(watch)


def test_what_the_program_prepares_before_the_first_phase_does_not_count(watch: Watch, clock: PhaseClock) -> None:
    watch.now += 0.5
    clock.enter("dns")
    watch.now += 0.002
    assert clock.stop().total_ms == pytest.approx(2)


def test_a_wait_for_other_tasks_after_the_last_bytes_does_not_count(watch: Watch, clock: PhaseClock) -> None:
    clock.enter("first_byte")
    watch.now += 0.002
    clock.mark_arrival()
    watch.now += 0.7
    clock.end_at_arrival()
    assert clock.stop().total_ms == pytest.approx(2)


def test_a_wait_for_other_tasks_after_the_connection_does_not_count(watch: Watch, clock: PhaseClock) -> None:
    clock.enter("connect")
    watch.now += 0.001
    clock.mark_arrival()
    watch.now += 0.7
    clock.enter("first_byte")
    watch.now += 0.002
    phases = clock.stop()
    assert (phases.connect_ms, phases.first_byte_ms) == (pytest.approx(1), pytest.approx(2))
    assert phases.total_ms == pytest.approx(3)


def test_bytes_of_an_earlier_phase_do_not_end_a_later_one_before_it_began(watch: Watch, clock: PhaseClock) -> None:
    clock.mark_arrival()
    watch.now += 0.5
    clock.enter("body")
    clock.end_at_arrival()
    assert clock.stop().total_ms == 0


def test_a_phase_without_an_answer_counts_to_its_end(watch: Watch, clock: PhaseClock) -> None:
    clock.enter("connect")
    watch.now += 0.001
    clock.mark_arrival()
    watch.now += 10
    assert clock.stop().total_ms == pytest.approx(10_001)


def test_an_attempt_without_a_phase_has_the_time_since_its_start(watch: Watch, clock: PhaseClock) -> None:
    watch.now += 0.25
    assert clock.stop().total_ms == pytest.approx(250)


@given(st.lists(st.tuples(st.sampled_from(("dns", "connect", "tls", "first_byte")), st.integers(0, 10_000))))
def test_the_phases_sum_up_to_the_total(entered: list[tuple[Phase, int]]) -> None:
    watch = Watch()
    clock = PhaseClock(watch)
    clock.enter("dns")
    for phase, milliseconds in entered:
        clock.enter(phase)
        watch.now += milliseconds / 1000
        clock.mark_arrival()
    phases = clock.stop()
    parts = (phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.first_byte_ms)
    assert phases.total_ms == pytest.approx(sum(part or 0 for part in parts), abs=0.001)


@given(st.lists(st.tuples(st.sampled_from(CALLS), st.integers(0, 10_000))))
def test_no_phase_is_negative_or_longer_than_the_attempt(
    calls: list[tuple[Callable[[PhaseClock], object], int]],
) -> None:
    watch = Watch()
    clock = PhaseClock(watch)
    for call, milliseconds in calls:
        call(clock)
        watch.now += milliseconds / 1000
    phases = clock.stop()
    parts = (phases.dns_ms, phases.connect_ms, phases.tls_ms, phases.first_byte_ms)
    assert all(part is None or part >= 0 for part in parts)
    assert 0 <= phases.total_ms <= clock.elapsed_ms + 0.1
