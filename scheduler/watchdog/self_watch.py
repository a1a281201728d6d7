"""Pings a URL of the user's choice while the scheduler works, so that another monitor reports when it does not.

Called by both hosts, created by scheduler.app.program. Without a URL it does nothing. The URL often contains a token:
no message contains it.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from jobs.checks.clock import PhaseClock
from jobs.checks.error_mapping import is_about_proxy
from jobs.checks.port import AttemptContext, Check
from jobs.policies.execution import NO_TRACE_CONTEXT
from jobs.ports import Clock
from jobs.running.clocks import run_with_deadline
from jobs.runs import ErrorClass, Observation, Phases
from jobs.targets import HttpTarget
from scheduler.health import HealthReport, HealthStatus, PartHealth

_log = logging.getLogger("scheduler.watchdog")

PING_TIMEOUT = 10.0
"""Seconds."""
SELF_WATCH_PART = "self_watch"


class SelfWatch:
    """Requests a URL regularly while the scheduler works, so that another monitor notices when it does not."""

    def __init__(
        self,
        url: str | None,
        interval_s: float,
        check: Callable[[], Check],
        health: Callable[[], Awaitable[HealthReport]],
        clock: Clock,
    ) -> None:
        """`check` returns the check of kind http. `health` reports the scheduler's own health."""
        self._target = None if url is None else HttpTarget.model_validate({"url": url})
        self._interval_s = interval_s
        self._check = check
        self._health = health
        self._clock = clock
        self._next_at = clock.monotonic()
        self._failure = ""
        """Why the latest ping failed."""

    async def run(self) -> None:
        """Ping until cancelled."""
        while True:
            await self.tick()
            await self._clock.sleep(self._interval_s)

    async def tick(self) -> None:
        """Ping if the interval has passed and no part of health is down. Raises nothing."""
        now = self._clock.monotonic()
        if self._target is None or now < self._next_at:
            return
        self._next_at = now + self._interval_s * 0.9  # a timer can be early
        report = await self._health()
        if not report.is_ready:
            down = ", ".join(part.name for part in report.parts if part.status is HealthStatus.DOWN)
            self._set_failure(f"not sent while these parts of health are down: {down}")
            return
        self._set_failure(await self._ping(self._target))

    async def probe(self) -> tuple[PartHealth, ...]:
        """Report the ping as a part of health; nothing without a URL. Degraded at worst."""
        if self._target is None:
            return ()
        status = HealthStatus.DEGRADED if self._failure else HealthStatus.OK
        return (PartHealth(SELF_WATCH_PART, status, self._failure),)

    async def _ping(self, target: HttpTarget) -> str:
        """Return why the ping failed, empty if it succeeded."""

        def on_timeout() -> Observation:
            message = f"no answer within {PING_TIMEOUT:g} s"
            return Observation(Phases(), error=ErrorClass.RESPONSE_TIMEOUT, message=message)

        call = AttemptContext("self-watch", 1, PhaseClock(), telemetry=NO_TRACE_CONTEXT)
        try:
            seen = await run_with_deadline(self._check().observe(target, call), PING_TIMEOUT, on_timeout)
        except Exception as error:
            return f"the ping failed: {type(error).__name__}"
        finally:
            call.values.close()
        if seen.error is not None:
            cause = f"{seen.error}: {seen.message.rstrip('.')}" if is_about_proxy(seen.message) else seen.error
            return f"the ping failed: {cause}"
        return "" if seen.status is not None and seen.status < 400 else f"the ping was answered with {seen.status}"

    def _set_failure(self, failure: str) -> None:
        if failure and failure != self._failure:
            _log.warning("could not ping the URL of self_watch: %s; retrying in %g s", failure, self._interval_s)
        self._failure = failure
