from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.policies import CircuitPolicy
from jobs.running.circuit import CLOSED, CircuitState, Condition, Permit, admit, record
from tests.jobs.running.running_cases import cases

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LEASE = 30.0

THREE = CircuitPolicy(consecutive_failures=3, open_for=60.0)
HALF = CircuitPolicy(failure_rate=0.5, window=10, minimum_calls=4, open_for=60.0)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def ran(state: CircuitState, policy: CircuitPolicy, *results: bool, now: datetime = NOON) -> CircuitState:
    """The state after runs that were admitted one after the other; True: succeeded."""
    for succeeded in results:
        admission = admit(state, policy, now, LEASE)
        assert admission.permit is not None
        state = record(admission.state, policy, now, admission.permit, not succeeded)
    return state


def probing(policy: CircuitPolicy, now: datetime) -> tuple[CircuitState, Permit]:
    """A circuit that opened at noon and now lets its first probe out."""
    state = ran(CLOSED, policy, *[False] * 3)
    admission = admit(state, policy, now, LEASE)
    assert admission.permit is not None
    return admission.state, admission.permit


class Machine:
    """Plays the steps of a case."""

    def __init__(self, policy: CircuitPolicy) -> None:
        self.policy = policy
        self.state = CLOSED
        self.permit: Permit | None = None

    def play(self, step: dict[str, Any]) -> None:
        now = at(step["at"])
        if "force" in step:
            self.state = CircuitState(Condition(step["force"]), self.state.period + 1, since=NOON, opened_at=NOON)
        if "admitted" in step or "run" in step:
            admission = admit(self.state, self.policy, now, LEASE)
            self.state, self.permit = admission.state, admission.permit
            assert admission.allowed is step.get("admitted", True)
        ending = step.get("run") or step.get("ended")
        if ending or "given_back" in step:
            permit = self.permit or Permit(self.state.period, self.state.leases[-1])
            self.state = record(self.state, self.policy, now, permit, ending == "fail" if ending else None)
        if "state" in step:
            assert self.state.condition == step["state"]


@pytest.mark.parametrize("case", cases("circuit_sequences"))
def test_a_circuit_goes_through_the_states_that_other_breakers_go_through(case: dict[str, Any]) -> None:
    machine = Machine(CircuitPolicy.model_validate(case["circuit"]))
    for step in case["steps"]:
        machine.play(step)


def test_a_success_in_between_starts_the_count_of_failures_in_a_row_anew() -> None:
    state = ran(CLOSED, THREE, False, False, True, False, False)
    assert state.condition is Condition.CLOSED
    assert ran(state, THREE, False).condition is Condition.OPEN


def test_failures_that_left_the_window_no_longer_count() -> None:
    policy = CircuitPolicy(failure_rate=0.5, window=4, minimum_calls=4)
    state = ran(CLOSED, policy, False, True, True, True, True)
    assert ran(state, policy, False).condition is Condition.CLOSED


def test_a_success_never_opens_a_circuit() -> None:
    state = ran(CLOSED, HALF, False, False, False, True)
    assert state.condition is Condition.CLOSED


def test_a_rejected_run_is_told_since_when_and_when_the_target_is_tried_again() -> None:
    admission = admit(ran(CLOSED, THREE, False, False, False), THREE, at(10), LEASE)
    assert admission.reason == (
        "the circuit is open, since 2026-03-01T12:00:00Z (3 failures in a row); "
        "the target is tried again at 2026-03-01T12:01:00Z"
    )


def test_a_rate_says_how_many_of_how_many_failed() -> None:
    assert ran(CLOSED, HALF, True, True, False, False).why == "2 of the last 4 runs failed"


def test_an_outage_keeps_its_beginning_when_a_probe_fails() -> None:
    state, permit = probing(THREE, at(60))
    state = record(state, THREE, at(65), permit, True)
    assert (state.condition, state.since, state.opened_at) == (Condition.OPEN, NOON, at(65))


def test_a_run_beside_the_probes_is_rejected() -> None:
    state, _ = probing(THREE, at(60))
    admission = admit(state, THREE, at(61), LEASE)
    assert not admission.allowed
    assert "1 of its probes are on their way, until 2026-03-01T12:01:30Z at most" in admission.reason


def test_the_circuit_closes_when_every_probe_succeeded() -> None:
    policy = THREE.model_copy(update={"probes": 2})
    state, first = probing(policy, at(60))
    second = admit(state, policy, at(61), LEASE)
    assert second.permit is not None
    state = record(second.state, policy, at(62), first, False)
    assert state.condition is Condition.HALF_OPEN
    state = record(state, policy, at(63), second.permit, False)
    assert (state.condition, state.since, state.consecutive) == (Condition.CLOSED, None, 0)


def test_a_probe_that_never_came_back_is_replaced_when_its_lease_is_over() -> None:
    state, _ = probing(THREE, at(60))
    assert not admit(state, THREE, at(60 + LEASE - 1), LEASE).allowed
    assert admit(state, THREE, at(60 + LEASE), LEASE).allowed


def test_a_probe_that_says_nothing_about_the_target_is_given_back() -> None:
    state, permit = probing(THREE, at(60))
    state = record(state, THREE, at(61), permit, None)
    assert state.condition is Condition.HALF_OPEN
    assert admit(state, THREE, at(61), LEASE).allowed


def test_a_success_from_before_the_opening_does_not_close_the_circuit() -> None:
    slow = admit(CLOSED, THREE, NOON, LEASE).permit
    assert slow is not None
    opened = ran(CLOSED, THREE, False, False, False)
    assert record(opened, THREE, at(1), slow, False) is opened
    half_open, _ = probing(THREE, at(60))
    assert record(half_open, THREE, at(61), slow, False) is half_open


def test_a_failure_from_before_the_opening_does_not_open_the_half_open_circuit() -> None:
    slow = admit(CLOSED, THREE, NOON, LEASE).permit
    assert slow is not None
    half_open, _ = probing(THREE, at(60))
    assert record(half_open, THREE, at(61), slow, True) is half_open


def test_a_probe_whose_lease_was_given_to_another_does_not_count() -> None:
    state, lost = probing(THREE, at(60))
    replaced = admit(state, THREE, at(60 + LEASE), LEASE).state
    assert record(replaced, THREE, at(61 + LEASE), lost, False) is replaced


def test_fewer_probes_than_have_succeeded_do_not_leave_the_circuit_half_open_for_ever() -> None:
    many = THREE.model_copy(update={"probes": 3})
    state, permit = probing(many, at(60))
    state = record(state, many, at(61), permit, False)
    admission = admit(state, THREE, at(62), LEASE)
    assert admission.permit is not None
    assert record(admission.state, THREE, at(63), admission.permit, False).condition is Condition.CLOSED


def test_a_smaller_window_forgets_what_is_outside_of_it() -> None:
    wide = CircuitPolicy(failure_rate=1.0, window=10, minimum_calls=10)
    narrow = CircuitPolicy(failure_rate=1.0, window=2, minimum_calls=2)
    state = ran(ran(CLOSED, wide, False, False, False, True), narrow, False)
    assert (state.condition, state.calls, state.failures) == (Condition.CLOSED, 2, 0b01)
