"""What the steps of tests/data/running/circuit_sequences.json ask of a circuit's state, for those who play them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from jobs.policies import CircuitPolicy
from jobs.running.circuit_state import CircuitCondition, CircuitState, ManualOverride, count_window
from jobs.running.circuit_state_machine import reset_circuit, retry_at, with_override


def steered(state: CircuitState, step: dict[str, Any], now: datetime) -> CircuitState:
    """The state after what the step does to it by hand."""
    if "put" in step:
        return CircuitState(CircuitCondition(step["put"]), state.period + 1, since=now, opened_at=now)
    if "held" in step:
        return with_override(state, ManualOverride(step["held"] == "open", now))
    return reset_circuit(state) if "reset" in step else state


def look(state: CircuitState, policy: CircuitPolicy, step: dict[str, Any], now: datetime) -> None:
    """Assert what the step says of the condition, and of when runs are let through again."""
    held = state.active_override(now)
    if "state" in step:
        assert step["state"] == (f"held_{'open' if held.is_open else 'closed'}" if held else state.condition)
    if "due" in step:
        due = retry_at(state, policy, now)
        assert due is not None
        assert due <= now


def look_at_counts(state: CircuitState, policy: CircuitPolicy, step: dict[str, Any], now: datetime) -> None:
    """Assert what the step says of the window."""
    if "counts" in step:
        observed = count_window(state.window, policy.window, now)
        assert [observed.calls, observed.failures] == step["counts"]
