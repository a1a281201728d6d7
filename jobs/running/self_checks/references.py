"""Checks the references and caches their results, so that a storm of failures checks them once.

Created by scheduler.app.alerting_setup with the targets of the settings, and by peers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial

from jobs.checks.clock import PhaseClock
from jobs.checks.port import AttemptContext, Check
from jobs.policies.telemetry import NO_TRACE_CONTEXT
from jobs.ports import Clock
from jobs.running.deadlines import run_with_deadline
from jobs.running.self_checks.blindness import ReferenceResult, find_blindness, is_clock_confirmed
from jobs.runs import ErrorClass, Observation, Phases
from jobs.targets import HttpTarget, Target, TcpTarget

REFERENCE_TIMEOUT = 3.0
"""Seconds for one reference. All are checked concurrently."""
MAX_RESULT_AGE = timedelta(seconds=5)
"""Results are used for runs that started this long before them at most."""


def parse_references(addresses: Iterable[str]) -> list[Target]:
    """Return the targets of valid addresses, URLs or `tcp://host:port`. An answer of any status is an answer."""
    targets: list[Target] = []
    for address in addresses:
        if address.startswith("tcp://"):
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            targets.append(TcpTarget(kind="tcp", host=host.strip("[]"), port=int(port)))
        else:
            targets.append(HttpTarget.model_validate({"url": address, "method": "HEAD", "redirects": 0}))
    return targets


class ReferenceChecks:
    """Implements SelfChecks by targets that answer whenever the scheduler can reach anything.

    `targets`: a function chooses them before each check.
    """

    def __init__(
        self, targets: Sequence[Target] | Callable[[], Sequence[Target]], checks: Mapping[str, Check], clock: Clock
    ) -> None:
        self._list_targets = targets if callable(targets) else partial(tuple, targets)
        self._checks = checks
        self._clock = clock
        self._results: tuple[ReferenceResult, ...] = ()
        self._checked_at: datetime | None = None
        self._lock = asyncio.Lock()

    def record(self, endpoint: str, error: ErrorClass | None) -> None:
        """Do nothing: the references decide alone."""

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        return find_blindness(error, await self.check(since))

    async def confirms_clock(self, since: datetime) -> bool:
        return is_clock_confirmed(await self.check(since))

    async def confirms_way(self, since: datetime) -> bool:
        return any(each.error is None for each in await self.check(since))

    async def check(self, since: datetime) -> tuple[ReferenceResult, ...]:
        """Return results that are newer than `since` and at most MAX_RESULT_AGE old. Concurrent callers share them."""
        async with self._lock:
            if not self._is_current(since):
                self._results = tuple(await asyncio.gather(*map(self._check, self._list_targets())))
                self._checked_at = self._clock.now()
            return self._results

    def _is_current(self, since: datetime) -> bool:
        if self._checked_at is None:
            return False
        age = self._clock.now() - self._checked_at
        return self._checked_at >= since and timedelta() <= age <= MAX_RESULT_AGE

    async def _check(self, target: Target) -> ReferenceResult:
        clock = PhaseClock()
        call = AttemptContext("self-check", 1, clock, telemetry=NO_TRACE_CONTEXT)

        def on_timeout() -> Observation:
            return Observation(Phases(), error=ErrorClass.CONNECT_TIMEOUT, message="no answer")

        try:
            check = self._checks[target.kind]
            seen = await run_with_deadline(check.observe(target, call), REFERENCE_TIMEOUT, on_timeout)
        except Exception as error:
            # A defect of a check must not excuse the failures of targets.
            return ReferenceResult(target.endpoint, ErrorClass.INTERNAL_ERROR, type(error).__name__)
        finally:
            call.values.close()
        return ReferenceResult(target.endpoint, seen.error, seen.message, self._clock_error(seen))

    def _clock_error(self, seen: Observation) -> timedelta | None:
        try:
            return self._clock.now() - parsedate_to_datetime(seen.headers["date"])
        except (KeyError, ValueError, TypeError):
            return None
