"""Decides whether the scheduler itself is blind: the alert of the subject `scheduler`. Used by evaluator.

It fires when a run could not be judged because of the scheduler (jobs.running.self_checks), or when its clock was set.
It resolves when the self-checks find nothing any more.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.alerting.alert import Alert, Verdict, advance
from jobs.ports import Clock, SelfChecks
from jobs.runs import Run
from jobs.runs.error_classes import ErrorClass
from scheduler.alerting.evaluation.clock_watch import ClockWatch
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.rule_book import BLIND_KEY

CHECK_INTERVAL = 10.0
"""Seconds between self-checks while the scheduler is blind."""
OTHERS_WAIT = timedelta(minutes=1)
"""A process that was not blind resolves the alert of another one after this time: that one may have ended."""
_PROBED_ERRORS = (ErrorClass.DNS_FAILURE, ErrorClass.CONNECT_TIMEOUT, ErrorClass.TLS_CERTIFICATE)


class BlindnessWatch:
    """Methods that await raise StoreError."""

    def __init__(self, alerts: KnownAlerts, self_checks: SelfChecks | None, clock: Clock) -> None:
        self._alerts = alerts
        self._self_checks = self_checks
        self._clock = clock
        self._clock_watch = ClockWatch()
        self._check_at = 0.0
        self._was_blind = False
        """Whether this process has found the scheduler blind since the alert fired."""
        self._unrecorded: Run | None = None
        """A blind run that could not be recorded."""

    async def record_blind_run(self, run: Run) -> bool:
        """Let the alert fire because of a run that could not be judged. Return whether it has changed."""
        self._was_blind, self._unrecorded = True, run
        cause = run.message.removeprefix("Not judged: ").partition(". The last attempt:")[0]
        has_changed = await self._change(Verdict(True, cause, run.started_at))
        self._unrecorded = None
        return has_changed

    async def tick(self) -> bool:
        """Watch the clock, and find the end of blindness. Return whether the alert has changed."""
        if self._unrecorded is not None:
            return await self.record_blind_run(self._unrecorded)
        now, monotonic = self._clock.now(), self._clock.monotonic()
        alert = self._alerts.find(BLIND_KEY)
        cause = self._clock_watch.find_cause(now, monotonic)
        if cause:
            self._was_blind = True
            if not alert.is_firing:
                return await self._change(Verdict(True, cause, now))
        if not alert.is_firing or monotonic < self._check_at or not self._can_resolve(alert, now):
            return False
        self._check_at = monotonic + CHECK_INTERVAL
        if await self._find_cause(now) or (cause and not await self._is_clock_confirmed(now)):
            return False
        self._clock_watch.accept(self._clock.now(), self._clock.monotonic())
        self._was_blind = False
        return await self._change(Verdict(False))

    def _can_resolve(self, alert: Alert, now: datetime) -> bool:
        return self._was_blind or alert.changed_at is None or now - alert.changed_at >= OTHERS_WAIT

    async def _find_cause(self, now: datetime) -> str:
        if self._self_checks is None:
            return ""
        for error in _PROBED_ERRORS:
            if cause := await self._self_checks.explain(error, now):
                return cause
        return ""

    async def _is_clock_confirmed(self, now: datetime) -> bool:
        """Return whether other clocks agree with this one."""
        return self._self_checks is not None and await self._self_checks.confirms_clock(now)

    async def _change(self, verdict: Verdict) -> bool:
        def decide(alert: Alert) -> Alert:
            return advance(alert, verdict, self._clock.now())

        return await self._alerts.change(BLIND_KEY, decide) is not None
