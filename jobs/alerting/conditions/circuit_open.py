"""The condition `circuit_open`: the circuit breaker of the job rejects runs, or admits probes only."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Literal

from jobs.alerting.alert import Verdict
from jobs.alerting.conditions.base import AlertCondition
from jobs.alerting.facts import AlertNeeds, SampleHistory, SubjectFacts, Thresholds
from jobs.formats import format_instant


class CircuitOpenCondition(AlertCondition):
    """A half-open circuit counts as open, so that its probes do not end the time of `for`."""

    EXAMPLE: ClassVar = "circuit_open"

    circuit_open: Literal[True]

    def find_needs(self, thresholds: Thresholds) -> AlertNeeds:
        return AlertNeeds(has_circuit=True, is_timed=True)

    def judge(
        self, history: SampleHistory, facts: SubjectFacts, now: datetime, is_firing: bool, thresholds: Thresholds
    ) -> Verdict:
        circuit = facts.circuit
        if circuit is None:
            return Verdict(None, "the state of the circuit is not known")
        if not circuit.is_open:
            return Verdict(False, "the circuit is closed")
        since = f" since {format_instant(circuit.since)}" if circuit.since is not None else ""
        return Verdict(True, f"the circuit is open{since}", circuit.since)
