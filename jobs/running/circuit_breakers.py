"""The circuit breakers of all jobs, in a store shared by several processes. Called by jobs.running.runner.

Written to the store: every opening, half-opening and closing, each failure, each slow run, and the first success after
a failure. Other successes of a closed circuit cost no write: the process counts them and adds them to the window with
its next write. So a run of a healthy job costs one read. The price: other processes do not see those successes until
then, and they are lost when the process ends, so a rate can be reached a few runs early, never late.
`consecutive_failures` is exact, except that a success concurrent with another process's failure need not reset it: that
run started before the failure, of which this process does not yet know.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn, TypeVar

from jobs.policies import CircuitPolicy
from jobs.ports import CircuitStateStore
from jobs.running.circuit_state import (
    CLOSED_CIRCUIT,
    EMPTY_WINDOW,
    UNCOUNTED_PERIOD,
    CircuitAdmission,
    CircuitCondition,
    CircuitPermit,
    CircuitState,
    CircuitWindow,
    add_run,
    dump_state,
    load_state,
    merge_successes,
)
from jobs.running.circuit_state_machine import add_successes, admit_run, record_result
from jobs.running.clocks import run_with_deadline

_log = logging.getLogger("jobs.running")

_MAX_UPDATE_ATTEMPTS = 10
"""Attempts of a compare-and-swap that loses to other processes."""

CIRCUIT_STORE_TIMEOUT = 2.0
"""Seconds for a request to the store; after that it counts as unavailable."""

_PAUSE_AFTER_TIMEOUT = timedelta(seconds=5)
"""Pause after a store timeout, so that runs do not wait for it one after the other."""

T = TypeVar("T")

ADMITTED_WITHOUT_STORE = CircuitAdmission(CLOSED_CIRCUIT, CircuitPermit(UNCOUNTED_PERIOD))
"""Admitted because the store is unavailable: the result belongs to no period."""


class CircuitBreakers:
    """Admits runs and records their results, by compare-and-swap of the stored state.

    An unavailable or slow store admits every run: a skipped check hides an outage, an additional one does not.
    `is_degraded` is true from then until the store answers again; both changes are logged once.
    """

    def __init__(self, states: CircuitStateStore, *, timeout_s: float = CIRCUIT_STORE_TIMEOUT) -> None:
        self._states = states
        self._patience_s = timeout_s
        self._unwritten: dict[str, tuple[int, CircuitWindow]] = {}
        """By key: the period, and its successes that are not stored yet."""
        self._failing: set[str] = set()
        """Keys with consecutive failures that this process has observed. Their next success is written."""
        self._resting_until = datetime.min.replace(tzinfo=UTC)
        self._not_closed: set[str] = set()
        self.is_degraded = False
        self.on_change: Callable[[str, str], None] = lambda key, condition: None
        """Called with the key and the new condition of a circuit that this process has changed."""

    @property
    def open_count(self) -> int:
        """The number of circuits that were not closed when this process last read or changed them."""
        return len(self._not_closed)

    async def admit(self, key: str, policy: CircuitPolicy, now: datetime, lease_s: float) -> CircuitAdmission:
        """Decide whether a run may start. `lease_s`: seconds until a probe without a result counts as lost."""
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
        """Count the result of an admitted run. `failed` None: the result is unrelated to the target.

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
        """While the store is unavailable: query it again. The next run with a circuit may be a long time away."""
        if self.is_degraded:
            await self._reach(self._states.load(key), None, now)

    def _count_success(self, key: str, policy: CircuitPolicy, now: datetime, period: int) -> None:
        if policy.uses_window:
            since, window = self._unwritten.get(key, (period, EMPTY_WINDOW))
            if since <= period:  # a run from before the circuit opened is unrelated to the time since it closed
                self._unwritten[key] = (
                    period,
                    add_run(window if since == period else EMPTY_WINDOW, policy.window, now),
                )

    async def _admit(self, key: str, policy: CircuitPolicy, now: datetime, lease_s: float) -> CircuitAdmission:
        admission = ADMITTED_WITHOUT_STORE
        for _ in range(_MAX_UPDATE_ATTEMPTS):
            text, etag = await self._states.load(key)
            before = load_state(text)
            if before.consecutive_failures:
                self._failing.add(key)
            self._follow_condition(key, before)
            admission = admit_run(before, policy, now, lease_s)
            if admission.state == before or await self._replace(key, before, admission.state, etag):
                return admission
        # Only a circuit that changes is contended: other processes have all probes.
        return CircuitAdmission(admission.state, None, "the circuit is half-open and all probe slots are in use")

    async def _record(
        self, key: str, policy: CircuitPolicy, now: datetime, permit: CircuitPermit, failed: bool | None, slow: bool
    ) -> None:
        since, successes = self._unwritten.pop(key, (UNCOUNTED_PERIOD, EMPTY_WINDOW))
        settled = False
        try:
            for _ in range(_MAX_UPDATE_ATTEMPTS):
                text, etag = await self._states.load(key)
                before = load_state(text)
                counts = before.condition is CircuitCondition.CLOSED and since == before.period
                known = add_successes(before, policy, now, successes) if counts else before
                after = record_result(known, policy, now, permit, failed, slow)
                # If the answer to a write is lost, it may have been stored: counting successes twice would open late.
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
        _log.warning(
            "could not record a result in the circuit of %s: %d concurrent updates; the result is lost",
            key,
            _MAX_UPDATE_ATTEMPTS,
        )

    def _put_back(self, key: str, policy: CircuitPolicy, now: datetime, period: int, successes: CircuitWindow) -> None:
        """Restore successes that could not be stored; others may have been counted meanwhile."""
        since, window = self._unwritten.get(key, (period, EMPTY_WINDOW))
        if successes != EMPTY_WINDOW and since == period:
            self._unwritten[key] = (period, merge_successes(window, policy.window, now, successes))

    async def _replace(self, key: str, before: CircuitState, after: CircuitState, etag: str | None) -> bool:
        replaced = await self._states.replace(key, dump_state(after), etag)
        if replaced and after.condition is not before.condition:
            why = f" ({after.opened_reason})" if after.opened_reason else ""
            _log.info("circuit of %s: %s -> %s%s", key, before.condition, after.condition, why)
            self._follow_condition(key, after)
            self.on_change(key, after.condition)
        return replaced

    def _follow_condition(self, key: str, state: CircuitState) -> None:
        if state.condition is CircuitCondition.CLOSED:
            self._not_closed.discard(key)
        else:
            self._not_closed.add(key)

    async def _reach(self, work: Coroutine[Any, Any, T], otherwise: T, now: datetime) -> T:
        """Run a request to the store; return `otherwise` if it fails or times out."""
        if now < self._resting_until:
            work.close()
            return otherwise
        try:
            result = await run_with_deadline(work, self._patience_s, self._too_slow)
        except TimeoutError:
            self._resting_until = now + _PAUSE_AFTER_TIMEOUT
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
            _log.warning("could not reach the circuits' store: %s; runs are admitted without a circuit", reason)
        self.is_degraded = True

    def _found(self) -> None:
        if self.is_degraded:
            _log.info("the circuits' store is available again")
        self.is_degraded = False
