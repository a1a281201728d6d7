from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.policies import CircuitPolicy
from jobs.running.circuit_state import (
    CLOSED_CIRCUIT,
    CircuitCondition,
    CircuitPermit,
    CircuitState,
    ManualOverride,
)
from jobs.running.circuit_state_machine import admit_run, record_result, reset_circuit, with_override
from tests.jobs.running.circuit_breaker.circuit_steps import look, look_at_counts, steered
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
        admission = admit_run(state, policy, now, LEASE)
        assert admission.permit is not None
        state = record_result(admission.state, policy, now, admission.permit, not succeeded)
    return state


def probing(policy: CircuitPolicy, now: datetime) -> tuple[CircuitState, CircuitPermit]:
    """A circuit that opened at noon and now lets its first probe out."""
    state = ran(CLOSED_CIRCUIT, policy, *[False] * 3)
    admission = admit_run(state, policy, now, LEASE)
    assert admission.permit is not None
    return admission.state, admission.permit


class Machine:
    """Plays the steps of a case."""

    def __init__(self, policy: CircuitPolicy) -> None:
        self.policy = policy
        self.state = CLOSED_CIRCUIT
        self.going: list[CircuitPermit] = []

    def play(self, step: dict[str, Any]) -> None:
        now = at(step["at"])
        self.state = steered(self.state, step, now)
        if "put" in step:
            self.going.clear()
        if "admitted" in step or "run" in step:
            admission = admit_run(self.state, self.policy, now, LEASE)
            self.state = admission.state
            assert admission.is_allowed is step.get("admitted", True)
            self.going += [admission.permit] if admission.permit is not None else []
        if ending := step.get("run") or step.get("ended"):
            permit = self.going.pop(-1 if "run" in step else 0)
            slow = step.get("seconds", 0) > (self.policy.slow_call or 0)
            failed = None if ending == "nothing" else ending == "fail"
            self.state = record_result(self.state, self.policy, now, permit, failed, slow)
        if "given_back" in step:
            self.state = record_result(self.state, self.policy, now, self.going.pop(), None)
        look(self.state, self.policy, step, now)
        look_at_counts(self.state, self.policy, step, now)


@pytest.mark.parametrize("case", cases("circuit_sequences"))
def test_a_circuit_goes_through_the_states_that_other_breakers_go_through(case: dict[str, Any]) -> None:
    machine = Machine(CircuitPolicy.model_validate(case["circuit"]))
    for step in case["steps"]:
        machine.play(step)


@pytest.mark.parametrize("case", cases("circuit_policies"))
def test_a_circuit_is_refused_that_other_breakers_refuse(case: dict[str, Any]) -> None:
    with nullcontext() if case["fits"] else pytest.raises(ValidationError):
        CircuitPolicy.model_validate(case["circuit"])


@pytest.mark.parametrize(("window", "calls"), [(5, 5), (10, 10), (20, 10), ("5s", 10)])
def test_a_window_shorter_than_the_usual_minimum_of_calls_requests_as_many_as_it_has(
    window: int | str, calls: int
) -> None:
    assert CircuitPolicy.model_validate({"failure_rate": 0.5, "window": window}).minimum_calls == calls


def test_a_success_in_between_starts_the_count_of_failures_in_a_row_anew() -> None:
    state = ran(CLOSED_CIRCUIT, THREE, False, False, True, False, False)
    assert state.condition is CircuitCondition.CLOSED
    assert ran(state, THREE, False).condition is CircuitCondition.OPEN


def test_failures_that_left_the_window_no_longer_count() -> None:
    policy = CircuitPolicy(failure_rate=0.5, window=4, minimum_calls=4)
    state = ran(CLOSED_CIRCUIT, policy, False, True, True, True, True)
    assert ran(state, policy, False).condition is CircuitCondition.CLOSED


def test_a_success_never_opens_a_circuit() -> None:
    state = ran(CLOSED_CIRCUIT, HALF, False, False, False, True)
    assert state.condition is CircuitCondition.CLOSED


def test_a_rejected_run_is_reported_since_when_and_when_the_target_is_tried_again() -> None:
    admission = admit_run(ran(CLOSED_CIRCUIT, THREE, False, False, False), THREE, at(10), LEASE)
    assert admission.reason == (
        "the circuit is open since 2026-03-01 12:00:00Z (3 failures in a row); "
        "the next probe is admitted at 2026-03-01 12:01:00Z"
    )


def test_a_rate_reports_how_many_of_how_many_failed() -> None:
    assert ran(CLOSED_CIRCUIT, HALF, True, True, False, False).opened_reason == "2 of the last 4 runs failed"


def test_an_outage_retains_its_beginning_when_a_probe_fails() -> None:
    state, permit = probing(THREE, at(60))
    state = record_result(state, THREE, at(65), permit, True)
    assert (state.condition, state.since, state.opened_at) == (CircuitCondition.OPEN, NOON, at(65))


def test_a_run_next_to_the_probes_is_rejected() -> None:
    state, _ = probing(THREE, at(60))
    admission = admit_run(state, THREE, at(61), LEASE)
    assert not admission.is_allowed
    assert "probes in flight: 1, until 2026-03-01 12:01:30Z at the latest" in admission.reason


def test_the_circuit_closes_when_every_probe_succeeded() -> None:
    policy = THREE.model_copy(update={"probes": 2})
    state, first = probing(policy, at(60))
    second = admit_run(state, policy, at(61), LEASE)
    assert second.permit is not None
    state = record_result(second.state, policy, at(62), first, False)
    assert state.condition is CircuitCondition.HALF_OPEN
    state = record_result(state, policy, at(63), second.permit, False)
    assert (state.condition, state.since, state.consecutive_failures) == (CircuitCondition.CLOSED, None, 0)


def test_a_probe_that_never_came_back_is_replaced_when_its_lease_is_over() -> None:
    state, _ = probing(THREE, at(60))
    assert not admit_run(state, THREE, at(60 + LEASE - 1), LEASE).is_allowed
    assert admit_run(state, THREE, at(60 + LEASE), LEASE).is_allowed


def test_a_probe_that_reports_nothing_about_the_target_is_released() -> None:
    state, permit = probing(THREE, at(60))
    state = record_result(state, THREE, at(61), permit, None)
    assert state.condition is CircuitCondition.HALF_OPEN
    assert admit_run(state, THREE, at(61), LEASE).is_allowed


def test_a_success_from_before_the_opening_does_not_close_the_circuit() -> None:
    slow = admit_run(CLOSED_CIRCUIT, THREE, NOON, LEASE).permit
    assert slow is not None
    opened = ran(CLOSED_CIRCUIT, THREE, False, False, False)
    assert record_result(opened, THREE, at(1), slow, False) is opened
    half_open, _ = probing(THREE, at(60))
    assert record_result(half_open, THREE, at(61), slow, False) is half_open


def test_a_failure_from_before_the_opening_does_not_open_the_half_open_circuit() -> None:
    slow = admit_run(CLOSED_CIRCUIT, THREE, NOON, LEASE).permit
    assert slow is not None
    half_open, _ = probing(THREE, at(60))
    assert record_result(half_open, THREE, at(61), slow, True) is half_open


def test_a_probe_whose_lease_was_given_to_another_does_not_count() -> None:
    state, lost = probing(THREE, at(60))
    replaced = admit_run(state, THREE, at(60 + LEASE), LEASE).state
    assert record_result(replaced, THREE, at(61 + LEASE), lost, False) is replaced


def test_fewer_probes_than_have_succeeded_do_not_leave_the_circuit_half_open_forever() -> None:
    many = THREE.model_copy(update={"probes": 3})
    state, permit = probing(many, at(60))
    state = record_result(state, many, at(61), permit, False)
    admission = admit_run(state, THREE, at(62), LEASE)
    assert admission.permit is not None
    assert record_result(admission.state, THREE, at(63), admission.permit, False).condition is CircuitCondition.CLOSED


def test_a_smaller_window_forgets_what_is_outside_of_it() -> None:
    wide = CircuitPolicy(failure_rate=1.0, window=10, minimum_calls=10)
    narrow = CircuitPolicy(failure_rate=1.0, window=2, minimum_calls=2)
    state = ran(ran(CLOSED_CIRCUIT, wide, False, False, False, True), narrow, False)
    assert (state.condition, state.window.calls, state.window.failures) == (CircuitCondition.CLOSED, 2, 0b01)


SLOW = CircuitPolicy(slow_rate=0.5, slow_call=2.0, window=10, minimum_calls=2, open_for=60.0)
RATES = CircuitPolicy(failure_rate=0.5, window=10, minimum_calls=3, open_for=60.0, probes=4)


def ended(state: CircuitState, policy: CircuitPolicy, now: datetime, failed: bool | None, slow: bool) -> CircuitState:
    admission = admit_run(state, policy, now, LEASE)
    assert admission.permit is not None
    return record_result(admission.state, policy, now, admission.permit, failed, slow)


def test_runs_that_succeed_slowly_open_a_circuit() -> None:
    state = ended(ended(CLOSED_CIRCUIT, SLOW, NOON, False, False), SLOW, NOON, False, True)
    assert (state.condition, state.opened_reason) == (CircuitCondition.OPEN, "1 of the last 2 runs were slow")


def test_a_window_of_time_forgets_runs_that_ended_before_it() -> None:
    policy = CircuitPolicy(failure_rate=0.5, window=60.0, minimum_calls=2)
    state = ran(CLOSED_CIRCUIT, policy, False, now=at(0))
    assert ran(state, policy, False, now=at(60)).condition is CircuitCondition.CLOSED
    assert ran(state, policy, False, now=at(59)).condition is CircuitCondition.OPEN


def test_probes_of_a_circuit_with_rates_alone_are_judged_together() -> None:
    state, first = probing(RATES, at(60))
    state = record_result(state, RATES, at(61), first, True)
    for failed in (False, False):
        state = ended(state, RATES, at(61), failed, False)
        assert state.condition is CircuitCondition.HALF_OPEN
    assert ended(state, RATES, at(61), False, False).condition is CircuitCondition.CLOSED
    assert ended(state, RATES, at(61), True, False).condition is CircuitCondition.OPEN


def test_slow_probes_open_a_circuit_with_a_slow_rate_again() -> None:
    state = ended(ended(CLOSED_CIRCUIT, SLOW, NOON, True, True), SLOW, NOON, True, True)
    assert ended(state, SLOW, at(60), False, True).condition is CircuitCondition.OPEN


def test_slow_probes_open_it_again_by_the_rate_next_to_consecutive_failures_too() -> None:
    both = SLOW.model_copy(update={"consecutive_failures": 3})
    state = ended(ended(CLOSED_CIRCUIT, both, NOON, True, True), both, NOON, True, True)
    assert ended(state, both, at(60), False, True).condition is CircuitCondition.OPEN
    assert ended(state, both, at(60), False, False).condition is CircuitCondition.CLOSED


def test_without_a_slow_rate_a_slow_probe_closes_the_circuit() -> None:
    state = ran(CLOSED_CIRCUIT, THREE, False, False, False)
    assert ended(state, THREE, at(60), False, True).condition is CircuitCondition.CLOSED


def test_a_circuit_that_is_held_open_reports_how_it_came_and_until_when() -> None:
    expected = ManualOverride(True, NOON, at(3600), "deployment", "over the API")
    admission = admit_run(with_override(CLOSED_CIRCUIT, expected), THREE, at(60), LEASE)
    assert admission.reason == (
        "the circuit is held open until 2026-03-01 13:00:00Z (set over the API at 2026-03-01 12:00:00Z: deployment)"
    )


def test_a_circuit_continues_as_before_once_no_one_holds_it_any_more() -> None:
    opened = ran(CLOSED_CIRCUIT, THREE, False, False, False)
    held = with_override(opened, ManualOverride(False, NOON, at(30)))
    assert admit_run(held, THREE, at(29), LEASE).is_allowed
    assert not admit_run(held, THREE, at(30), LEASE).is_allowed
    probe = admit_run(held, THREE, at(60), LEASE).permit
    assert probe is not None
    assert probe.lease is not None


def test_a_run_that_was_let_through_by_force_does_not_count() -> None:
    held = with_override(CLOSED_CIRCUIT, ManualOverride(False, NOON))
    permit = admit_run(held, THREE, NOON, LEASE).permit
    assert permit is not None
    assert record_result(held, THREE, NOON, permit, True) is held


def test_what_runs_report_does_not_end_how_a_circuit_is_held() -> None:
    expected = ManualOverride(True, NOON)
    permit = CircuitPermit(CLOSED_CIRCUIT.period)
    state = record_result(
        with_override(CLOSED_CIRCUIT, expected), CircuitPolicy(consecutive_failures=1), NOON, permit, True
    )
    assert (state.condition, state.override) == (CircuitCondition.OPEN, expected)


def test_a_reset_forgets_failures_and_what_is_still_on_its_way() -> None:
    before = ran(CLOSED_CIRCUIT, THREE, False, False)
    late = CircuitPermit(before.period)
    state = reset_circuit(before)
    assert record_result(state, THREE, NOON, late, True) is state
    assert ran(state, THREE, False, False).condition is CircuitCondition.CLOSED
