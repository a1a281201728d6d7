"""What a run is to alert rules.

A sample takes one place in the window of a rule. A rejected run is bad, because an open circuit must not hide an
outage. Skipped, cancelled and replayed runs, and those of a target that the settings deny, are not samples. Which
triggers count is a matter of the rule.
"""

from __future__ import annotations

from datetime import datetime

from jobs.fast_frozen import fast_frozen
from jobs.runs.error_classes import ErrorClass
from jobs.runs.outcomes import Outcome, Trigger
from jobs.runs.run import Run

COUNTED_TRIGGERS = frozenset({Trigger.SCHEDULE, Trigger.DEPENDENCY})
"""Of a rule without `triggers`. What a person or a pipeline requests neither opens nor closes an alert."""


@fast_frozen(frozen=True, slots=True)
class Sample:
    """One finished run. Samples are ordered by `position`."""

    due_at: datetime
    run: str
    finished_at: datetime
    is_failed: bool
    is_degraded: bool = False
    trigger: Trigger = Trigger.SCHEDULE
    error: ErrorClass | None = None
    message: str = ""
    response_ms: float | None = None
    lateness_ms: float = 0.0
    certificate_expires_at: datetime | None = None

    @property
    def position(self) -> tuple[datetime, str]:
        return self.due_at, self.run

    @property
    def is_good(self) -> bool:
        return not (self.is_failed or self.is_degraded)


def sample_of_run(run: Run) -> Sample | None:
    """Return what the run counts as; None if it takes no place."""
    if run.trigger is Trigger.REPLAY or run.error is ErrorClass.TARGET_DENIED:
        return None
    if run.outcome is not Outcome.SUCCEEDED and not run.outcome.down:
        return None
    return Sample(
        due_at=run.due_at,
        run=run.id,
        finished_at=run.finished_at,
        is_failed=run.outcome.down,
        is_degraded=run.degraded,
        trigger=run.trigger,
        error=run.error,
        message=run.message,
        response_ms=run.response_time_ms,
        lateness_ms=run.lateness_ms,
        certificate_expires_at=_certificate_expiry(run),
    )


def _certificate_expiry(run: Run) -> datetime | None:
    details = run.attempts[-1].details if run.attempts else None
    certificate = None if details is None or details.tls is None else details.tls.certificate
    return None if certificate is None else certificate.expires_at
