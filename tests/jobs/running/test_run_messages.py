"""The messages of runs: retries, circuit, deadlines, and runs that never reach their target."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from syrupy.assertion import SnapshotAssertion

from jobs.policies import CircuitPolicy
from jobs.running.circuit_state import CLOSED_CIRCUIT, CircuitCondition, CircuitState, ManualOverride
from jobs.running.circuit_state_machine import admit_run, record_result, with_override
from jobs.running.retry_budget import describe_exhausted_budget, describe_no_time_left
from jobs.running.run_factories import (
    cancelled_run,
    dead_lettered_run,
    finished_run,
    interrupted_run,
    overdue_run,
    rejected_run,
)
from jobs.runs import Attempt, ErrorClass, Phases
from tests.jobs.running.run_parts import TICKET, URL, job
from tests.jobs.running.virtual_time import START

LATER = START + timedelta(seconds=9)
REFUSED = Attempt(
    1, START, Phases(), error=ErrorClass.CONNECTION_REFUSED, message="checkout.internal:443 refused the connection."
)
POLICY = CircuitPolicy(consecutive_failures=2, failure_rate=0.5, slow_rate=0.5, slow_call=1.0, minimum_calls=3)


def test_messages_of_retries(text_snapshot: SnapshotAssertion) -> None:
    notes = [
        describe_no_time_left(1.0, 120.0, 12.0),
        describe_no_time_left(10.0, None, 0.35),
        describe_exhausted_budget(URL, 60.0),
    ]
    runs = [finished_run(job(), TICKET, START, LATER, [REFUSED], note) for note in notes]
    assert "\n".join(run.message for run in runs) == text_snapshot


def test_messages_of_circuits(text_snapshot: SnapshotAssertion) -> None:
    states = [
        _after((True, False), (True, False)),
        _after((True, False), (False, False), (True, False)),
        _after((False, True), (False, True), (False, True)),
        replace(_after((True, False), (True, False)), condition=CircuitCondition.HALF_OPEN, leases=(LATER,)),
        with_override(CLOSED_CIRCUIT, ManualOverride(True, START, LATER, "deployment", "over the API")),
        with_override(CLOSED_CIRCUIT, ManualOverride(True, START, None, "", "on the command line")),
    ]
    reasons = [admit_run(state, POLICY, START, 30.0).reason for state in states]
    assert "\n".join(rejected_run(job(), TICKET, START, START, each).message for each in reasons) == text_snapshot


def test_messages_of_runs_without_a_result(text_snapshot: SnapshotAssertion) -> None:
    once = job().model_copy(update={"effect": "once"})
    runs = [
        overdue_run(job(), TICKET, START, LATER, []),
        overdue_run(job(), TICKET, START, LATER, [REFUSED]),
        cancelled_run(job(), TICKET, START, LATER, cancelled_by="over the API"),
        cancelled_run(job(), TICKET, START, LATER),
        interrupted_run(TICKET, START, LATER, job()),
        interrupted_run(TICKET, START, LATER, once),
        dead_lettered_run(TICKET, LATER, "delivered 5 times, failed each time"),
    ]
    assert "\n".join(f"{run.outcome}: {run.message}" for run in runs) == text_snapshot


def _after(*results: tuple[bool, bool]) -> CircuitState:
    """Return the state after runs that failed, or were slow."""
    state = CLOSED_CIRCUIT
    for failed, slow in results:
        permit = admit_run(state, POLICY, START, 30.0).permit
        assert permit is not None
        state = record_result(state, POLICY, START, permit, failed, slow)
    return state
