"""The circuit of a job's target as a pure state machine: no clock, no store, no event loop.

`Circuits` (circuits.py) calls it between reading and writing the stored state. Closed lets every run through and
counts failures; open rejects until `open_for` is over; half-open lets exactly `probes` runs through and decides by
them. Every change of condition begins a new period, and a result counts only in the period that admitted its run:
what arrives late can neither close nor open anything. Above all that an operator can hold it open or closed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from jobs.running.windows import EMPTY, Window, counted, tally, with_successes

if TYPE_CHECKING:
    from jobs.policies import CircuitPolicy


class Condition(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class Forced:
    """A circuit that an operator holds open or closed, whatever its runs say. All times are aware UTC."""

    open: bool
    since: datetime
    until: datetime | None = None
    """Its end, exclusive; None: until it is reset."""
    reason: str = ""
    way: str = ""
    """How it was asked for, such as `over the API`."""

    def holds(self, now: datetime) -> bool:
        return self.until is None or now < self.until

    def __str__(self) -> str:
        """`held open until 2026-03-01T13:00:00Z, as was asked over the API at 2026-03-01T12:00:00Z: deployment`."""
        end = f"until {_text(self.until)}" if self.until is not None else "until it is reset"
        asked = f"as was asked {self.way} at {_text(self.since)}" + (f": {self.reason}" if self.reason else "")
        return f"held {'open' if self.open else 'closed'} {end}, {asked}"


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
    window: Window = EMPTY
    """The runs that it looks back on, while closed; kept only for a policy with rates."""
    succeeded: int = 0
    """Probes that succeeded, while half-open."""
    failed: int = 0
    """Probes that failed, while half-open."""
    slow: int = 0
    """Probes that were slow, whether they succeeded or failed, while half-open."""
    leases: tuple[datetime, ...] = ()
    """When each probe that is out counts as lost, while half-open."""
    forced: Forced | None = None
    """What an operator wants; it may be over."""

    def forced_at(self, now: datetime) -> Forced | None:
        """What an operator wants now."""
        return self.forced if self.forced is not None and self.forced.holds(now) else None


CLOSED = CircuitState()

UNCOUNTED = -1
"""The period of runs whose results do not count."""


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
    if (forced := state.forced_at(now)) is not None:
        return Admission(state, None, f"the circuit is {forced}") if forced.open else Admission(state, _FREE)
    if state.condition is Condition.CLOSED:
        return Admission(state, Permit(state.period))
    if state.condition is Condition.OPEN:
        retry_at = _opened_at(state) + timedelta(seconds=policy.open_for)
        if now < retry_at:
            return Admission(state, None, f"{_since(state)}; the target is tried again at {_text(retry_at)}")
        state = replace(state, condition=Condition.HALF_OPEN, period=state.period + 1, succeeded=0, leases=())
    return _admit_probe(state, policy, now, lease_s)


_FREE = Permit(UNCOUNTED)


def _admit_probe(state: CircuitState, policy: CircuitPolicy, now: datetime, lease_s: float) -> Admission:
    out = tuple(lease for lease in state.leases if lease > now)
    # At least one: a policy whose `probes` was lowered meanwhile must not leave the circuit half-open for ever.
    room = max(policy.probes - state.succeeded - state.failed, 1)
    if len(out) >= room:
        return Admission(
            state, None, f"{_since(state)}; {len(out)} of its probes are on their way, until {_text(min(out))} at most"
        )
    lease = now + timedelta(seconds=lease_s)
    return Admission(replace(state, leases=(*out, lease)), Permit(state.period, lease))


def record(
    state: CircuitState, policy: CircuitPolicy, now: datetime, permit: Permit, failed: bool | None, slow: bool = False
) -> CircuitState:
    """The state after a run's result. `failed` None: the run says nothing about the target, a probe is given back.

    Returns `state` itself when the result does not count: it belongs to an earlier period, or its lease is over.
    """
    if permit.period != state.period:
        return state
    if state.condition is Condition.CLOSED:
        return state if failed is None else _count(state, policy, now, failed, slow)
    if permit.lease is None or permit.lease not in state.leases:
        return state
    return _record_probe(state, policy, now, permit.lease, failed, slow)


def add_successes(state: CircuitState, policy: CircuitPolicy, now: datetime, successes: Window) -> CircuitState:
    """A closed circuit's state after these runs, none of which failed or was slow."""
    if successes == EMPTY:
        return state
    window = with_successes(state.window, policy.window, now, successes) if policy.counts_rates else EMPTY
    return replace(state, consecutive=0, window=window)


def forced(state: CircuitState, wanted: Forced) -> CircuitState:
    """The state of a circuit that is held open or closed from now on, in place of how it was held before."""
    return replace(state, forced=wanted)


def reset(state: CircuitState) -> CircuitState:
    """Closed, held by nobody, and all runs forgotten. What is still on its way does not count."""
    return CircuitState(period=state.period + 1)


def tried_again_at(state: CircuitState, policy: CircuitPolicy, now: datetime) -> datetime | None:
    """When runs that are rejected now are let through again; None if they are let through, or nobody knows."""
    if (held := state.forced_at(now)) is not None:
        return held.until if held.open else None
    if state.condition is Condition.OPEN:
        return _opened_at(state) + timedelta(seconds=policy.open_for)
    return None


def _count(state: CircuitState, policy: CircuitPolicy, now: datetime, failed: bool, slow: bool) -> CircuitState:
    window = counted(state.window, policy.window, now, failed=failed, slow=slow) if policy.counts_rates else EMPTY
    after = replace(state, consecutive=state.consecutive + 1 if failed else 0, window=window)
    # What went well opens nothing, even where it is the one that makes up `minimum_calls`.
    why = _reason_to_open(after, policy, now) if failed or slow else ""
    return _opened(state, now, why) if why else after


def _reason_to_open(state: CircuitState, policy: CircuitPolicy, now: datetime) -> str:
    if policy.consecutive_failures is not None and state.consecutive >= policy.consecutive_failures:
        return f"{state.consecutive} failure{'s' if state.consecutive > 1 else ''} in a row"
    if not policy.counts_rates:
        return ""
    seen = tally(state.window, policy.window, now)
    if seen.calls < policy.minimum_calls:
        return ""
    if _reached(seen.failures, seen.calls, policy.failure_rate):
        return f"{seen.failures} of the last {seen.calls} runs failed"
    if _reached(seen.slow, seen.calls, policy.slow_rate):
        return f"{seen.slow} of the last {seen.calls} runs were slow"
    return ""


def _record_probe(
    state: CircuitState, policy: CircuitPolicy, now: datetime, lease: datetime, failed: bool | None, slow: bool
) -> CircuitState:
    if failed and policy.consecutive_failures is not None:
        return _opened(state, now, state.why)
    at = state.leases.index(lease)
    back = replace(state, leases=state.leases[:at] + state.leases[at + 1 :])
    if failed is None:
        return back
    back = replace(back, succeeded=back.succeeded + (not failed), failed=back.failed + failed, slow=back.slow + slow)
    calls = back.succeeded + back.failed
    if calls < policy.probes:
        return back
    if _reached(back.failed, calls, policy.failure_rate) or _reached(back.slow, calls, policy.slow_rate):
        return _opened(state, now, state.why)
    return CircuitState(period=state.period + 1, forced=state.forced)


def _reached(part: int, calls: int, rate: float | None) -> bool:
    return rate is not None and part / calls >= rate


def _opened(state: CircuitState, now: datetime, why: str) -> CircuitState:
    since = state.since or now
    return CircuitState(Condition.OPEN, state.period + 1, since=since, opened_at=now, why=why, forced=state.forced)


def _opened_at(state: CircuitState) -> datetime:
    assert state.opened_at is not None, "a circuit that is not closed was opened"
    return state.opened_at


def _since(state: CircuitState) -> str:
    condition = state.condition.replace("_", "-")
    return f"the circuit is {condition}, since {_text(state.since or _opened_at(state))} ({state.why})"


def _text(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"
