"""The circuit of a job's target as a pure state machine: no clock, no store, no event loop.

`Circuits` (circuits.py) calls it between reading and writing the stored state. Closed lets every run through and
counts failures; open rejects until `open_for` is over; half-open lets exactly `probes` runs through and decides by
them. Every change of condition begins a new period, and a result counts only in the period that admitted its run:
what arrives late can neither close nor open anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.policies import CircuitPolicy


class Condition(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitState:
    """Everything a circuit remembers. All times are aware UTC."""

    condition: Condition = Condition.CLOSED
    period: int = 0
    """Counts the changes of condition."""
    since: datetime | None = None
    """When this outage opened it first; None while closed."""
    opened_at: datetime | None = None
    """When it opened last: `open_for` counts from here."""
    why: str = ""
    """What opened it, such as `5 failures in a row`."""
    consecutive: int = 0
    """Failures in a row, while closed."""
    calls: int = 0
    """Runs in the window, while closed; kept only for a policy with `failure_rate`."""
    failures: int = 0
    """The window as bits: the newest run is bit 0, a failure is 1."""
    succeeded: int = 0
    """Probes that succeeded, while half-open."""
    leases: tuple[datetime, ...] = ()
    """When each probe that is out counts as lost, while half-open."""


CLOSED = CircuitState()


@dataclass(frozen=True, slots=True)
class Permit:
    """What a run shows when its result is recorded: when it was let through, and as which probe."""

    period: int
    lease: datetime | None = None
    """The end of a probe's lease. Two probes with the same end are interchangeable."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The answer to a run that wants to start. `state` is the state after it: write it if it is another one."""

    state: CircuitState
    permit: Permit | None
    reason: str = ""
    """Why it is rejected: since when, and when the target is tried again."""

    @property
    def allowed(self) -> bool:
        return self.permit is not None

    @property
    def probe(self) -> bool:
        return self.permit is not None and self.permit.lease is not None


def admit(state: CircuitState, policy: CircuitPolicy, now: datetime, lease_s: float) -> Admission:
    """May a run start now? A probe that is not recorded within `lease_s` seconds counts as lost."""
    if state.condition is Condition.CLOSED:
        return Admission(state, Permit(state.period))
    if state.condition is Condition.OPEN:
        retry_at = _opened_at(state) + timedelta(seconds=policy.open_for)
        if now < retry_at:
            return Admission(state, None, f"{_since(state)}; the target is tried again at {_text(retry_at)}")
        state = replace(state, condition=Condition.HALF_OPEN, period=state.period + 1, succeeded=0, leases=())
    return _admit_probe(state, policy, now, lease_s)


def _admit_probe(state: CircuitState, policy: CircuitPolicy, now: datetime, lease_s: float) -> Admission:
    out = tuple(lease for lease in state.leases if lease > now)
    # At least one: a policy whose `probes` was lowered meanwhile must not leave the circuit half-open for ever.
    room = max(policy.probes - state.succeeded, 1)
    if len(out) >= room:
        return Admission(
            state, None, f"{_since(state)}; {len(out)} of its probes are on their way, until {_text(min(out))} at most"
        )
    lease = now + timedelta(seconds=lease_s)
    return Admission(replace(state, leases=(*out, lease)), Permit(state.period, lease))


def record(
    state: CircuitState, policy: CircuitPolicy, now: datetime, permit: Permit, failed: bool | None
) -> CircuitState:
    """The state after a run's result. `failed` None: the run says nothing about the target, a probe is given back.

    Returns `state` itself when the result does not count: it belongs to an earlier period, or its lease is over.
    """
    if permit.period != state.period:
        return state
    if state.condition is Condition.CLOSED:
        return state if failed is None else _count(state, policy, now, failed)
    if permit.lease is None or permit.lease not in state.leases:
        return state
    return _record_probe(state, policy, now, permit.lease, failed)


def add_successes(state: CircuitState, policy: CircuitPolicy, count: int) -> CircuitState:
    """A closed circuit's state after `count` successes in a row."""
    if count == 0:
        return state
    if policy.failure_rate is None:
        return replace(state, consecutive=0)
    return replace(
        state,
        consecutive=0,
        calls=min(state.calls + count, policy.window),
        failures=_within(state.failures << min(count, policy.window), policy.window),
    )


def _count(state: CircuitState, policy: CircuitPolicy, now: datetime, failed: bool) -> CircuitState:
    if not failed:
        return add_successes(state, policy, 1)
    counted = replace(state, consecutive=state.consecutive + 1)
    if policy.failure_rate is not None:
        bits = _within(state.failures << 1 | 1, policy.window)
        counted = replace(counted, calls=min(state.calls + 1, policy.window), failures=bits)
    why = _reason_to_open(counted, policy)
    return _opened(state, now, why) if why else counted


def _reason_to_open(state: CircuitState, policy: CircuitPolicy) -> str:
    if policy.consecutive_failures is not None and state.consecutive >= policy.consecutive_failures:
        return f"{state.consecutive} failure{'s' if state.consecutive > 1 else ''} in a row"
    failed = state.failures.bit_count()
    if (
        policy.failure_rate is not None
        and state.calls >= policy.minimum_calls
        and failed / state.calls >= policy.failure_rate
    ):
        return f"{failed} of the last {state.calls} runs failed"
    return ""


def _record_probe(
    state: CircuitState, policy: CircuitPolicy, now: datetime, lease: datetime, failed: bool | None
) -> CircuitState:
    if failed:
        return _opened(state, now, state.why)
    at = state.leases.index(lease)
    succeeded = state.succeeded + (failed is False)
    if succeeded >= policy.probes:
        return CircuitState(period=state.period + 1)
    return replace(state, succeeded=succeeded, leases=state.leases[:at] + state.leases[at + 1 :])


def _opened(state: CircuitState, now: datetime, why: str) -> CircuitState:
    return CircuitState(Condition.OPEN, state.period + 1, since=state.since or now, opened_at=now, why=why)


def _within(bits: int, window: int) -> int:
    return bits & ((1 << window) - 1)


def _opened_at(state: CircuitState) -> datetime:
    assert state.opened_at is not None, "a circuit that is not closed was opened"
    return state.opened_at


def _since(state: CircuitState) -> str:
    condition = state.condition.replace("_", "-")
    return f"the circuit is {condition}, since {_text(state.since or _opened_at(state))} ({state.why})"


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
