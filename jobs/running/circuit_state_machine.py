"""The circuit breaker as a pure state machine, without clock, store or event loop, and the rules that open a circuit.

Closed admits every run and counts failures; open rejects runs until `open_for` has elapsed; half-open admits exactly
`probes` runs and decides by their results. Every change of condition starts a new period, and a result counts only in
the period that admitted its run, so a late result cannot close or open the circuit. An operator's override takes
precedence.

A new rule is a function here with its line in OPENING_RULES, and its key in jobs.policies.execution.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from jobs.formats import format_count, format_instant
from jobs.running.circuit_state import (
    EMPTY_WINDOW,
    UNCOUNTED_PERIOD,
    CircuitAdmission,
    CircuitCondition,
    CircuitPermit,
    CircuitState,
    CircuitWindow,
    ManualOverride,
    add_run,
    count_window,
    merge_successes,
)

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


def admit_run(state: CircuitState, policy: CircuitPolicy, now: datetime, lease_s: float) -> CircuitAdmission:
    """Decide whether a run may start. A probe without a result within `lease_s` seconds counts as lost."""
    if (forced := state.active_override(now)) is not None:
        return (
            CircuitAdmission(state, None, f"the circuit is {forced}")
            if forced.is_open
            else CircuitAdmission(state, _FREE)
        )
    if state.condition is CircuitCondition.CLOSED:
        return CircuitAdmission(state, CircuitPermit(state.period))
    if state.condition is CircuitCondition.OPEN:
        retry_at = _opened_at(state) + timedelta(seconds=policy.open_for)
        if now < retry_at:
            return CircuitAdmission(
                state, None, f"{_since(state)}; the next probe is admitted at {format_instant(retry_at)}"
            )
        state = replace(state, condition=CircuitCondition.HALF_OPEN, period=state.period + 1, succeeded=0, leases=())
    return _admit_probe(state, policy, now, lease_s)


_FREE = CircuitPermit(UNCOUNTED_PERIOD)


def _admit_probe(state: CircuitState, policy: CircuitPolicy, now: datetime, lease_s: float) -> CircuitAdmission:
    out = tuple(lease for lease in state.leases if lease > now)
    # At least one: a policy whose `probes` was lowered meanwhile must not keep the circuit half-open.
    room = max(policy.probes - state.succeeded - state.failed, 1)
    if len(out) >= room:
        return CircuitAdmission(
            state,
            None,
            f"{_since(state)}; probes in flight: {len(out)}, until {format_instant(min(out))} at the latest",
        )
    lease = now + timedelta(seconds=lease_s)
    return CircuitAdmission(replace(state, leases=(*out, lease)), CircuitPermit(state.period, lease))


def record_result(
    state: CircuitState,
    policy: CircuitPolicy,
    now: datetime,
    permit: CircuitPermit,
    failed: bool | None,
    slow: bool = False,
) -> CircuitState:
    """Return the state after a run's result. `failed` None: the result is unrelated to the target.

    Returns `state` itself if the result does not count: it belongs to an earlier period, or its lease has expired.
    """
    if permit.period != state.period:
        return state
    if state.condition is CircuitCondition.CLOSED:
        return state if failed is None else _count(state, policy, now, failed, slow)
    if permit.lease is None or permit.lease not in state.leases:
        return state
    return _record_probe(state, policy, now, permit.lease, failed, slow)


def add_successes(state: CircuitState, policy: CircuitPolicy, now: datetime, successes: CircuitWindow) -> CircuitState:
    """Return a closed circuit's state after successful runs, of which none was slow."""
    if successes == EMPTY_WINDOW:
        return state
    window = merge_successes(state.window, policy.window, now, successes) if policy.uses_window else EMPTY_WINDOW
    return replace(state, consecutive_failures=0, window=window)


def with_override(state: CircuitState, override: ManualOverride) -> CircuitState:
    """Return the state with this override, which replaces an earlier one."""
    return replace(state, override=override)


def reset_circuit(state: CircuitState) -> CircuitState:
    """Return a closed circuit without override or history. Results of runs in flight do not count."""
    return CircuitState(period=state.period + 1)


def retry_at(state: CircuitState, policy: CircuitPolicy, now: datetime) -> datetime | None:
    """Return when rejected runs are admitted again; None if they are admitted now, or if the time is unknown."""
    if (held := state.active_override(now)) is not None:
        return held.until if held.is_open else None
    if state.condition is CircuitCondition.OPEN:
        return _opened_at(state) + timedelta(seconds=policy.open_for)
    return None


def _count(state: CircuitState, policy: CircuitPolicy, now: datetime, failed: bool, slow: bool) -> CircuitState:
    window = add_run(state.window, policy.window, now, failed=failed, slow=slow) if policy.uses_window else EMPTY_WINDOW
    after = replace(state, consecutive_failures=state.consecutive_failures + 1 if failed else 0, window=window)
    # A success never opens the circuit, even if it completes `minimum_calls`.
    why = _reason_to_open(after, policy, now) if failed or slow else ""
    return _opened(state, now, why) if why else after


def _reason_to_open(state: CircuitState, policy: CircuitPolicy, now: datetime) -> str:
    counts = RunCounts(state.consecutive_failures)
    if policy.uses_window:
        window = count_window(state.window, policy.window, now)
        if window.calls >= policy.minimum_calls:
            counts = RunCounts(state.consecutive_failures, window.calls, window.failures, window.slow)
    return find_reason_to_open(policy, counts)


def _record_probe(
    state: CircuitState, policy: CircuitPolicy, now: datetime, lease: datetime, failed: bool | None, slow: bool
) -> CircuitState:
    if failed and policy.consecutive_failures is not None:
        return _opened(state, now, state.opened_reason)
    at = state.leases.index(lease)
    back = replace(state, leases=state.leases[:at] + state.leases[at + 1 :])
    if failed is None:
        return back
    back = replace(back, succeeded=back.succeeded + (not failed), failed=back.failed + failed, slow=back.slow + slow)
    calls = back.succeeded + back.failed
    if calls < policy.probes:
        return back
    if find_reason_to_open(policy, RunCounts(0, calls, back.failed, back.slow)):
        return _opened(state, now, state.opened_reason)
    return CircuitState(period=state.period + 1, override=state.override)


def _opened(state: CircuitState, now: datetime, why: str) -> CircuitState:
    since = state.since or now
    return CircuitState(
        CircuitCondition.OPEN, state.period + 1, since=since, opened_at=now, opened_reason=why, override=state.override
    )


def _opened_at(state: CircuitState) -> datetime:
    assert state.opened_at is not None, "a circuit that is not closed has opened_at"
    return state.opened_at


def _since(state: CircuitState) -> str:
    condition = state.condition.replace("_", "-")
    return (
        f"the circuit is {condition} since {format_instant(state.since or _opened_at(state))} ({state.opened_reason})"
    )
