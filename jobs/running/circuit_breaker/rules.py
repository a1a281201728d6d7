"""The rules that open a circuit. Pure; called by .state_machine.

A new rule is a function here with its line in OPENING_RULES, and its key in jobs.policies.circuit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.formats.counts import format_count

if TYPE_CHECKING:
    from jobs.policies import CircuitPolicy


@dataclass(frozen=True, slots=True)
class RunCounts:
    """What the rules decide by: the window's runs, or all probes. `calls` is 0 if the window has too few."""

    consecutive_failures: int
    calls: int = 0
    failures: int = 0
    slow: int = 0


def _consecutive_failures(policy: CircuitPolicy, counts: RunCounts) -> str:
    count = counts.consecutive_failures
    if policy.consecutive_failures is None or count < policy.consecutive_failures:
        return ""
    return f"{format_count(count, 'failure')} in a row"


def _failure_rate(policy: CircuitPolicy, counts: RunCounts) -> str:
    if not _is_reached(counts.failures, counts.calls, policy.failure_rate):
        return ""
    return f"{counts.failures} of the last {counts.calls} runs failed"


def _slow_rate(policy: CircuitPolicy, counts: RunCounts) -> str:
    if not _is_reached(counts.slow, counts.calls, policy.slow_rate):
        return ""
    return f"{counts.slow} of the last {counts.calls} runs were slow"


def _is_reached(part: int, calls: int, rate: float | None) -> bool:
    return rate is not None and calls > 0 and part / calls >= rate


OPENING_RULES: tuple[Callable[[CircuitPolicy, RunCounts], str], ...] = (
    _consecutive_failures,
    _failure_rate,
    _slow_rate,
)
"""Each returns why the circuit opens, or an empty text. The first reason counts."""


def find_reason_to_open(policy: CircuitPolicy, counts: RunCounts) -> str:
    """Return the reason of the first rule that opens the circuit; empty if none does."""
    return next(filter(None, (rule(policy, counts) for rule in OPENING_RULES)), "")
