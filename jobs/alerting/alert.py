"""The state of one alert, which is a rule applied to a subject, and how a verdict changes it. Pure.

    inactive ── met ──► pending ── met for `for` ──► firing ── not met ──► resolved ── met ──► firing, number + 1
        └─────────── met, without `for` ──────────────▲

It is stored unless it is inactive. A resolved alert is deleted when its incident has recorded
that.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import StrEnum

from jobs.fast_frozen import fast_frozen


class AlertStatus(StrEnum):
    """The values are stored: add, never rename."""

    INACTIVE = "inactive"
    PENDING = "pending"
    """The condition is met, but not as long as the rule requires."""
    FIRING = "firing"
    RESOLVED = "resolved"


@fast_frozen(frozen=True, slots=True)
class Verdict:
    """Whether the condition of a rule is met. None: not known, such as after a pause; the alert is unchanged.

    `since`: when the trouble began, such as the end of the first failed run. `evidence`: a sentence for people with the
    numbers that decided.
    """

    is_met: bool | None
    evidence: str = ""
    since: datetime | None = None


@fast_frozen(frozen=True, slots=True)
class Alert:
    """`subject`: a job, a group, an objective or the scheduler. `rule`: its name, unique for the subject."""

    subject: str
    rule: str
    status: AlertStatus = AlertStatus.INACTIVE
    number: int = 0
    """How often it has fired."""
    met_since: datetime | None = None
    """The first evaluation at which the condition was met, without one at which it was not."""
    changed_at: datetime | None = None
    """When the status began."""
    failing_since: datetime | None = None
    evidence: str = ""
    causes: tuple[str, ...] = ()
    """What it may share with other alerts, the likeliest first: `host api.example.com`. Set by the evaluation."""

    @property
    def is_active(self) -> bool:
        return self.status in (AlertStatus.PENDING, AlertStatus.FIRING)

    @property
    def is_firing(self) -> bool:
        return self.status is AlertStatus.FIRING


def advance(alert: Alert, verdict: Verdict, now: datetime, minimum_duration: timedelta = timedelta()) -> Alert:
    """Return the alert after a verdict; the same value if nothing changes.

    `minimum_duration` counts from the first evaluation at which the condition was met, by the clock: the tick calls
    this between runs. An instant before that of the last change counts as it, as clocks of processes differ.
    """
    if verdict.is_met is None:
        return alert
    now = now if alert.changed_at is None else max(now, alert.changed_at)
    if not verdict.is_met:
        return _end(alert, now)
    if alert.status is AlertStatus.FIRING:
        return alert
    met_since, since = now, verdict.since or now
    if alert.status is AlertStatus.PENDING and alert.met_since is not None:
        # The window of `3 of 5` moves on while the alert is pending; the trouble began with the first of it.
        met_since, since = alert.met_since, alert.failing_since or alert.met_since
    met = replace(alert, met_since=met_since, failing_since=since, evidence=verdict.evidence, changed_at=now)
    if now - met_since < minimum_duration:
        is_same = alert.status is AlertStatus.PENDING
        return alert if is_same else replace(met, status=AlertStatus.PENDING)
    return replace(met, status=AlertStatus.FIRING, number=alert.number + 1)


def fires_at(alert: Alert, minimum_duration: timedelta) -> datetime | None:
    """Return when a pending alert fires if its condition stays met; None for any other."""
    if alert.status is not AlertStatus.PENDING or alert.met_since is None:
        return None
    return alert.met_since + minimum_duration


def _end(alert: Alert, now: datetime) -> Alert:
    if alert.status is AlertStatus.PENDING:
        status = AlertStatus.INACTIVE if alert.number == 0 else AlertStatus.RESOLVED
        return replace(alert, status=status, met_since=None, changed_at=now)
    if alert.status is AlertStatus.FIRING:
        return replace(alert, status=AlertStatus.RESOLVED, met_since=None, changed_at=now)
    return alert
