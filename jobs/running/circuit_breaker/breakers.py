"""The circuits of all jobs, kept in a store that several processes share. Called by execution.py.

What is written, and when: everything that opens, half-opens or closes a circuit, each failure, each slow run, and the
first success after a failure. Other successes of a closed circuit cost no write: this process counts them and adds
them to the window with the next write. So the usual run of a healthy job costs one read. The price: successes that
were not yet written are unknown to other processes and lost when this one ends, so a rate can be reached a few runs
early; never late. `consecutive_failures` is exact, but for a run that succeeds while one of another process fails: it
began before the failure, and this process need not have heard of it.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from jobs.policies import CircuitPolicy
from jobs.ports import CircuitStateStore
from jobs.running.circuit_breaker.state_machine import (
    CLOSED_CIRCUIT,
    UNCOUNTED_PERIOD,
    CircuitAdmission,
    CircuitCondition,
    CircuitPermit,
    CircuitState,
    add_successes,
    admit_run,
    record_result,
)
from jobs.running.circuit_breaker.stored_state import dump_state, load_state
from jobs.running.circuit_breaker.windows import EMPTY_WINDOW, CircuitWindow, add_run, merge_successes
from jobs.running.deadlines import run_with_deadline

_log = logging.getLogger("jobs.running")

_TRIES = 10
"""A replacement that somebody else was faster with is worked out anew, this often."""

CIRCUIT_STORE_TIMEOUT = 2.0
"""Seconds for the store; slower than that counts as away."""

_REST = timedelta(seconds=5)
"""A store that was too slow is not asked again so soon: no run shall wait for it one after the other."""

T = TypeVar("T")

ADMITTED_WITHOUT_STORE = CircuitAdmission(CLOSED_CIRCUIT, CircuitPermit(UNCOUNTED_PERIOD))
"""Let through because the store is away: its result belongs to no period."""


class CircuitBreakers:
    """Admits runs and records their results, by compare-and-swap on the stored state.

    A store that is away (or slow) lets every run through: a check left out hides an outage, one too many does not.
    `degraded` is true from then on until the store answers again; the log says so once.
    """

    def __init__(self, states: CircuitStateStore, *, timeout_s: float = CIRCUIT_STORE_TIMEOUT) -> None:
        self._states = states
        self._patience_s = timeout_s
        self._unwritten: dict[str, tuple[int, CircuitWindow]] = {}
        """Per key the period, and the successes in it that are not stored yet."""
        self._failing: set[str] = set()
        """Keys with failures in a row, as far as this process has seen. The next success ends them: it is written."""
        self._resting_until = datetime.min.replace(tzinfo=UTC)
        self.is_degraded = False

    async def admit(self, key: str, policy: CircuitPolicy, now: datetime, lease_s: float) -> CircuitAdmission:
        """May a run of this job start? `lease_s`: seconds until a probe without a result counts as lost."""
        return await self._reach(self._admit(key, policy, now, lease_s), ADMITTED_WITHOUT_STORE, now)

    async def record(
        self,
        key: str,
        policy: CircuitPolicy,
        now: datetime,
        admission: CircuitAdmission,
        failed: bool | None,
        slow: bool = False,
    ) -> None:
        """Count the result of an admitted run. `failed` None: it says nothing about the target.

        `slow`: its last attempt took longer than the policy's `slow_call`.
        """
        permit, before = admission.permit, admission.state
        if permit is None or permit.period == UNCOUNTED_PERIOD:
            return
        failing = before.consecutive_failures or key in self._failing
        if before.condition is CircuitCondition.CLOSED and not failing and not failed and not slow:
            if failed is False:
                self._count_success(key, policy, now, permit.period)
            return
        await self._reach(self._record(key, policy, now, permit, failed, slow), None, now)

    async def check_store(self, key: str, now: datetime) -> None:
        """While the store is away: see whether it still is. A run with a circuit may be a long time off."""
        if self.is_degraded:
            await self._reach(self._states.load(key), None, now)

    def _count_success(self, key: str, policy: CircuitPolicy, now: datetime, period: int) -> None:
        if policy.uses_rates:
            since, window = self._unwritten.get(key, (period, EMPTY_WINDOW))
            if since <= period:  # what began before the circuit opened says nothing of how it went since it closed
                self._unwritten[key] = (
                    period,
                    add_run(window if since == period else EMPTY_WINDOW, policy.window, now),
                )

    async def _admit(self, key: str, policy: CircuitPolicy, now: datetime, lease_s: float) -> CircuitAdmission:
        admission = ADMITTED_WITHOUT_STORE
        for _ in range(_TRIES):
            text, etag = await self._states.load(key)
            before = load_state(text)
            if before.consecutive_failures:
                self._failing.add(key)
            admission = admit_run(before, policy, now, lease_s)
            if admission.state == before or await self._replace(key, before, admission.state, etag):
                return admission
        # Only a circuit that changes is contended: the probes belong to those who were faster.
        return CircuitAdmission(
            admission.state, None, "the circuit is half-open, and others are asking the target just now"
        )

    async def _record(
        self, key: str, policy: CircuitPolicy, now: datetime, permit: CircuitPermit, failed: bool | None, slow: bool
    ) -> None:
        since, successes = self._unwritten.pop(key, (UNCOUNTED_PERIOD, EMPTY_WINDOW))
        settled = False
        try:
            for _ in range(_TRIES):
                text, etag = await self._states.load(key)
                before = load_state(text)
                counts = before.condition is CircuitCondition.CLOSED and since == before.period
                known = add_successes(before, policy, now, successes) if counts else before
                after = record_result(known, policy, now, permit, failed, slow)
                # Where the answer to a write is lost, it may have been done: to count successes twice would be late.
                settled = True
                if after != before:
                    settled = await self._replace(key, before, after, etag)
                if settled:
                    self._failing.discard(key)
                    if after.consecutive_failures:
                        self._failing.add(key)
                    return
        finally:
            if not settled:
                self._put_back(key, policy, now, since, successes)
        _log.warning("a result of %s is missing in its circuit: %d others were faster each time", key, _TRIES)

    def _put_back(self, key: str, policy: CircuitPolicy, now: datetime, period: int, successes: CircuitWindow) -> None:
        """Keep the successes that could not be stored; others may have come meanwhile."""
        since, window = self._unwritten.get(key, (period, EMPTY_WINDOW))
        if successes != EMPTY_WINDOW and since == period:
            self._unwritten[key] = (period, merge_successes(window, policy.window, now, successes))

    async def _replace(self, key: str, before: CircuitState, after: CircuitState, etag: str | None) -> bool:
        replaced = await self._states.replace(key, dump_state(after), etag)
        if replaced and after.condition is not before.condition:
            why = f" ({after.opened_reason})" if after.opened_reason else ""
            _log.info("circuit of %s: %s -> %s%s", key, before.condition, after.condition, why)
        return replaced

    async def _reach(self, work: Coroutine[Any, Any, T], otherwise: T, now: datetime) -> T:
        """Do the work on the store; `otherwise` if the store fails or is too slow."""
        if now < self._resting_until:
            work.close()
            return otherwise
        try:
            result = await run_with_deadline(work, self._patience_s, self._too_slow)
        except TimeoutError:
            self._resting_until = now + _REST
            self._lost("TimeoutError")
        except Exception as error:
            self._lost(type(error).__name__)
        else:
            self._found()
            return result
        return otherwise

    def _too_slow(self) -> NoReturn:
        raise TimeoutError

    def _lost(self, reason: str) -> None:
        if not self.is_degraded:
            _log.warning("the circuits' store is away (%s): runs are let through without asking the circuit", reason)
        self.is_degraded = True

    def _found(self) -> None:
        if self.is_degraded:
            _log.info("the circuits' store is back")
        self.is_degraded = False
