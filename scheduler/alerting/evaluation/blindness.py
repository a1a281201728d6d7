"""Decides whether the scheduler itself is blind: the alert of the subject `scheduler`.

It fires when a run could not be judged because of the scheduler (jobs.running.self_checks), or when the clock of the
machine was set, which shows by the monotonic clock: instants, certificates and tokens are judged wrongly then, so
alerts do not describe their targets. It resolves when the self-checks find nothing any more.

Another alert of this subject, `starved`, fires while a process lacks CPU (scheduler.watchdog.cpu_watch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from jobs.alerting.alert import Alert, Verdict, advance
from jobs.formats import describe_span
from jobs.incidents.values import AlertKey
from jobs.ports import Clock, SelfChecks
from jobs.running.self_checks import CREDENTIAL_ERRORS, LACKED_CPU, NO_CREDENTIALS
from jobs.runs import Run
from jobs.runs.outcomes import ErrorClass
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.rule_book import BLIND_KEY, IDENTITY_KEY, STARVED_KEY

MAX_JUMP = timedelta(minutes=2)
"""Between two ticks. Time services correct a running clock by less."""
ACCEPTED_AFTER = timedelta(minutes=30)
"""By then a clock that nothing contradicts counts as correct: it was perhaps corrected."""
WRONG_CLOCK = "the clock of the scheduler"
"""The beginning of each cause."""


class ClockWatch:
    """`find_cause` returns what is wrong with the clock, empty if nothing is known to be."""

    def __init__(self) -> None:
        self._started_at: datetime | None = None
        """The instant at which the monotonic clock was zero, by the clock when it was last trusted."""
        self._wrong_since: float | None = None

    def find_cause(self, now: datetime, monotonic: float) -> str:
        started_at = now - timedelta(seconds=monotonic)
        if self._started_at is None:
            self._started_at = started_at
        jump = started_at - self._started_at
        if abs(jump) <= MAX_JUMP:
            # A slow correction is followed; it never adds up to a jump.
            self._started_at, self._wrong_since = started_at, None
            return ""
        if self._wrong_since is None:
            self._wrong_since = monotonic
        if monotonic - self._wrong_since >= ACCEPTED_AFTER.total_seconds():
            self._started_at, self._wrong_since = started_at, None
            return ""
        direction = "back" if jump < timedelta() else "forward"
        return f"{WRONG_CLOCK} was set {direction} by {describe_span(abs(jump).total_seconds())}"

    def accept(self, now: datetime, monotonic: float) -> None:
        """Trust the clock: another one agrees with it."""
        self._started_at, self._wrong_since = now - timedelta(seconds=monotonic), None


CHECK_INTERVAL = 10.0
"""Seconds between self-checks while the scheduler is blind."""
EVIDENCE_INTERVAL = timedelta(seconds=30)
"""Between two changes of the alert that record that runs are still blind."""
QUIET_TIME = timedelta(seconds=90)
"""Without a blind run. Then it is over if no self-check of this process can decide it: the others may have ended."""
_PROBED_ERRORS = (ErrorClass.DNS_FAILURE, ErrorClass.CONNECT_TIMEOUT, ErrorClass.TLS_CERTIFICATE)


class BlindnessWatch:
    """Methods that await raise StoreError."""

    def __init__(
        self, alerts: KnownAlerts, self_checks: SelfChecks | None, clock: Clock, starvation: Callable[[], str] = str
    ) -> None:
        """`starvation`: returns why this process lacks CPU, empty if it does not."""
        self._starvation = starvation
        self._was_starved = False
        """Whether this process has lacked CPU since the alert fired."""
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
        """Let an alert fire because of a run that could not be judged. Return whether it has changed."""
        cause = run.message.removeprefix("Not judged: ").partition(". The last attempt:")[0]
        if cause.startswith(LACKED_CPU):
            return False  # the alert `starved` is about it
        key = IDENTITY_KEY if cause.startswith(NO_CREDENTIALS) else BLIND_KEY
        self._was_blind, self._unrecorded = self._was_blind or key == BLIND_KEY, run
        has_changed = False
        if self._alerts.find(key).is_firing:
            await self._extend(key, run.finished_at)
        else:
            has_changed = await self._change(key, Verdict(True, cause, run.started_at))
        self._unrecorded = None
        return has_changed

    async def tick(self) -> bool:
        """Judge the lack of CPU, and whether the scheduler is blind. Return whether an alert has changed."""
        has_changed = await self._judge_starvation(self._clock.now())
        return await self._judge_blindness() or has_changed

    async def _judge_starvation(self, now: datetime) -> bool:
        cause, alert = self._starvation(), self._alerts.find(STARVED_KEY)
        if cause:
            self._was_starved = True
            if not alert.is_firing:
                return await self._change(STARVED_KEY, Verdict(True, cause, now))
            await self._extend(STARVED_KEY, now)
            return False
        if not alert.is_firing:
            return False
        # Another process may be the one that lacks CPU; it repeats the evidence.
        if not self._was_starved and alert.met_since is not None and abs(now - alert.met_since) < QUIET_TIME:
            return False
        self._was_starved = False
        return await self._change(STARVED_KEY, Verdict(False))

    async def _judge_blindness(self) -> bool:
        """Watch the clock, and find the end of blindness. Return whether an alert has changed."""
        if self._unrecorded is not None:
            return await self.record_blind_run(self._unrecorded)
        now, monotonic = self._clock.now(), self._clock.monotonic()
        is_blind = self._alerts.find(BLIND_KEY).is_firing
        cause = self._clock_watch.find_cause(now, monotonic)
        self._was_blind = self._was_blind or bool(cause)
        if cause and not is_blind:
            return await self._change(BLIND_KEY, Verdict(True, cause, now))
        if monotonic < self._check_at or not (is_blind or self._alerts.find(IDENTITY_KEY).is_firing):
            return False
        self._check_at = monotonic + CHECK_INTERVAL
        has_changed = is_blind and await self._end_blindness(cause, now)
        return await self._end_missing_identity(now) or has_changed

    async def _end_blindness(self, cause: str, now: datetime) -> bool:
        """`cause`: what is wrong with the clock of this process, empty if nothing is."""
        if await self._find_cause(_PROBED_ERRORS, now) or (cause and not await self._is_clock_confirmed(now)):
            await self._extend(BLIND_KEY, now)
            return False
        if not cause and not await self._is_over(self._alerts.find(BLIND_KEY), now):
            return False
        self._clock_watch.accept(self._clock.now(), self._clock.monotonic())
        self._was_blind = False
        return await self._change(BLIND_KEY, Verdict(False))

    async def _end_missing_identity(self, now: datetime) -> bool:
        alert = self._alerts.find(IDENTITY_KEY)
        if not alert.is_firing or await self._find_cause(CREDENTIAL_ERRORS, now):
            return False
        return await self._change(IDENTITY_KEY, Verdict(False))

    async def _is_over(self, alert: Alert, now: datetime) -> bool:
        """Return whether another host answers, or no run was blind for a while, in whatever process.

        The network and the clock of another process cannot be judged here: that process repeats the evidence.
        """
        can_judge = self._was_blind and not alert.evidence.startswith(WRONG_CLOCK)
        if can_judge and (self._self_checks is None or await self._self_checks.confirms_way(now)):
            return True
        return alert.met_since is None or abs(now - alert.met_since) >= QUIET_TIME

    async def _find_cause(self, errors: Iterable[ErrorClass], now: datetime) -> str:
        if self._self_checks is None:
            return ""
        for error in errors:
            if cause := await self._self_checks.explain(error, now):
                return cause
        return ""

    async def _is_clock_confirmed(self, now: datetime) -> bool:
        """Return whether other clocks agree with this one."""
        return self._self_checks is not None and await self._self_checks.confirms_clock(now)

    async def _extend(self, key: AlertKey, at: datetime) -> None:
        """Record that an alert is still right, seldom."""
        known = self._alerts.find(key).met_since
        if known is None or abs(at - known) >= EVIDENCE_INTERVAL:
            await self._alerts.change(key, lambda each: _extend(each, at))

    async def _change(self, key: AlertKey, verdict: Verdict) -> bool:
        def decide(alert: Alert) -> Alert:
            return advance(alert, verdict, self._clock.now())

        return await self._alerts.change(key, decide) is not None


def _extend(alert: Alert, at: datetime) -> Alert:
    """Record that the condition is still met at an instant."""
    return replace(alert, met_since=at) if alert.is_firing else alert
