"""Waits until a version serves: the same answer several times, because old instances answer for a while."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TypeVar

from delivery.app.api import AccessRefused, AppError, HealthAnswer, PlanningRound, SchedulerApi
from delivery.clock import DeliveryClock, format_duration
from delivery.errors import DeliveryError
from delivery.reporter import Reporter

CONFIRMATIONS = 3
"""Answers in sequence that have to be right."""
TICK_PARTS = frozenset({"ticks", "ticker"})
"""Parts of health that are down where the timer is disabled: in a slot or revision that is not in service."""


T = TypeVar("T")


@dataclass(frozen=True)
class Waiting:
    """Waits for one app. `poll`: seconds between two requests."""

    api: SchedulerApi
    clock: DeliveryClock
    reporter: Reporter
    poll: float

    def wait_for_version(self, version: str, within: float, *, is_idle: bool = False, unlike: str = "") -> HealthAnswer:
        """Return the answer once the version is ready. Raises DeliveryError with the last problem.

        `version`: empty: any except `unlike`. `is_idle`: the timer is disabled, so missing ticks do not count.
        """

        def judge() -> tuple[HealthAnswer | None, str]:
            return self._judge(version, unlike, is_idle)

        expected = f"version {version}" if version else "a ready version"
        self.reporter.report(f"waiting up to {format_duration(within)} for {expected} at {self.api.url}")
        return self._wait(judge, within, f"{expected} did not serve at {self.api.url}", CONFIRMATIONS)

    def wait_for_tick(self, since: datetime, within: float) -> PlanningRound:
        """Return the first tick after an instant of this machine. Raises DeliveryError."""

        def judge() -> tuple[PlanningRound | None, str]:
            tick = self.api.read_last_tick()
            if tick is not None and tick.age < (self.clock.now() - since).total_seconds():
                return tick, ""
            return None, f"the last tick was at {tick.at:%H:%M:%S}" if tick else "there was no tick"

        self.reporter.report(f"waiting up to {format_duration(within)} for a tick")
        return self._wait(judge, within, "the timer does not plan: check the function tick and its log")

    def _judge(self, version: str, unlike: str, is_idle: bool) -> tuple[HealthAnswer | None, str]:
        health = self.api.read_health()
        if version and health.version != version:
            return None, f"version {health.version} answers"
        if unlike and health.version == unlike:
            return None, f"version {health.version} still answers"
        if not (health.is_ready_without(TICK_PARTS) if is_idle else health.is_ready):
            return None, f"version {health.version} is not ready: {', '.join(health.down) or 'starting'}"
        return health, ""

    def _wait(
        self, judge: Callable[[], tuple[T | None, str]], within: float, failure: str, confirmations: int = 1
    ) -> T:
        end = self.clock.now() + timedelta(seconds=within)
        right, last = 0, ""
        while True:
            try:
                found, problem = judge()
            except AccessRefused:
                raise
            except AppError as error:
                found, problem = None, str(error)
            right = right + 1 if found is not None else 0
            if found is not None and right >= confirmations:
                return found
            if problem and problem != last:
                self.reporter.report(problem)
                last = problem
            if self.clock.now() + timedelta(seconds=self.poll) > end:
                raise DeliveryError(
                    f"{failure} within {format_duration(within)}: {last or 'it changes between answers'}"
                )
            self.clock.sleep(self.poll)
