"""What no order of runs, however late or lost, can break."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from jobs.policies import CircuitPolicy
from jobs.running.circuit_state import (
    CLOSED_CIRCUIT,
    UNCOUNTED_PERIOD,
    CircuitCondition,
    CircuitPermit,
    ManualOverride,
    dump_state,
    load_state,
)
from jobs.running.circuit_state_machine import admit_run, record_result, reset_circuit, with_override

LEASE = 20.0

_LOOSE = st.builds(
    dict[str, Any],
    consecutive_failures=st.none() | st.integers(1, 5),
    failure_rate=st.none() | st.floats(0.01, 1.0),
    slow_rate=st.none() | st.floats(0.01, 1.0),
    window=st.integers(5, 12) | st.floats(1.0, 100.0),
    minimum_calls=st.integers(1, 5),
    open_for=st.floats(1.0, 60.0),
    probes=st.integers(1, 4),
)


def _policy(fields: dict[str, Any]) -> CircuitPolicy:
    if fields["consecutive_failures"] is None and fields["failure_rate"] is None and fields["slow_rate"] is None:
        fields["consecutive_failures"] = 2
    return CircuitPolicy(**fields, slow_call=None if fields["slow_rate"] is None else 1.0)


policies = _LOOSE.map(_policy)


class AnyOrder(RuleBasedStateMachine):
    """Runs start at any time and end in any order, or never, and an operator holds and resets the circuit meanwhile.

    The state goes through JSON after every step.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = datetime(2026, 3, 1, tzinfo=UTC)
        self.state = CLOSED_CIRCUIT
        self.policy = CircuitPolicy(consecutive_failures=2)
        self.going: list[CircuitPermit] = []

    @rule(policy=policies)
    @precondition(lambda self: self.state == CLOSED_CIRCUIT and not self.going)
    def choose(self, policy: CircuitPolicy) -> None:
        self.policy = policy

    @rule(seconds=st.floats(0.0, 70.0))
    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(open=st.booleans(), seconds=st.none() | st.floats(1.0, 200.0))
    def hold(self, open: bool, seconds: float | None) -> None:
        until = None if seconds is None else self.now + timedelta(seconds=seconds)
        before, self.state = self.state, with_override(self.state, ManualOverride(open, self.now, until))
        assert replace(self.state, override=before.override) == before, "what runs say is kept while it is held"

    @rule()
    @precondition(lambda self: self.state.period or self.state.override)
    def reset(self) -> None:
        before, self.state = self.state, reset_circuit(self.state)
        assert self.state == replace(CLOSED_CIRCUIT, period=before.period + 1)

    @rule()
    def start(self) -> None:
        before = self.state
        admission = admit_run(before, self.policy, self.now, LEASE)
        if (held := before.active_override(self.now)) is not None:
            assert (admission.is_allowed, admission.state) == (not held.is_open, before)
            assert admission.permit in (None, CircuitPermit(UNCOUNTED_PERIOD))
            return
        if before.condition is CircuitCondition.CLOSED:
            assert admission.is_allowed, "closed never rejects"
            assert admission.state == before
        if before.condition is CircuitCondition.OPEN:
            assert before.opened_at is not None
            due = before.opened_at + timedelta(seconds=self.policy.open_for)
            assert admission.is_allowed is (self.now >= due), "open admits when open_for is over, and not before"
        assert admission.is_allowed is not bool(admission.reason)
        is_probe = admission.permit is not None and admission.permit.lease is not None
        assert is_probe is (admission.is_allowed and before.condition is not CircuitCondition.CLOSED)
        self.state = admission.state
        if admission.permit is not None:
            self.going.append(admission.permit)

    @rule(data=st.data(), failed=st.none() | st.booleans(), slow=st.booleans())
    @precondition(lambda self: self.going)
    def end(self, data: st.DataObject, failed: bool | None, slow: bool) -> None:
        permit = self.going.pop(data.draw(st.integers(0, len(self.going) - 1)))
        before = self.state
        self.state = record_result(before, self.policy, self.now, permit, failed, slow)
        assert self.state.override == before.override, "what runs say ends no hold"
        if permit.period != before.period:
            assert self.state is before, "a result counts only in its own period"
        if self.state.condition is CircuitCondition.OPEN and before.condition is not CircuitCondition.OPEN:
            # Of probes that are judged together, a good one may come back last.
            probe = before.condition is CircuitCondition.HALF_OPEN
            assert failed or slow or (probe and before.failed + before.slow), "what went well opens nothing"

    @invariant()
    def never_more_probes_than_allowed(self) -> None:
        out = [
            permit
            for permit in self.going
            if permit.period == self.state.period and permit.lease is not None and permit.lease > self.now
        ]
        if self.state.condition is CircuitCondition.HALF_OPEN:
            assert len(out) + self.state.succeeded + self.state.failed <= self.policy.probes
            assert len(self.state.leases) <= self.policy.probes

    @invariant()
    def json_contains_everything(self) -> None:
        restored = load_state(dump_state(self.state))
        assert restored == self.state
        self.state = restored


TestAnyOrder = AnyOrder.TestCase
