"""The names of log events, custom events and service checks. Re-exported by observability.names."""

from __future__ import annotations

from typing import Final

from observability.names.catalogue import Name

_events: list[Name] = []


def _event(name: str, description: str) -> str:
    _events.append(Name(name, description))
    return name


# --- Log events: the `Event` of a structured log line, and the name of a custom event ---------------------------------

JOB_STARTED: Final = _event("JOB_STARTED", "A run starts.")
JOB_PERFORMANCE: Final = _event("JOB_PERFORMANCE", "A run is finished, whatever its outcome.")
JOB_RETRY: Final = _event("JOB_RETRY", "An attempt failed and another one follows.")
JOB_FAILED: Final = _event("JOB_FAILED", "A run is finished and its target is down.")
JOB_DEAD_LETTERED: Final = _event("JOB_DEAD_LETTERED", "A run is given up and stored as a dead letter.")
SERVICE_STARTED: Final = _event("SERVICE_STARTED", "The scheduler is ready and starts to plan.")
SERVICE_FAILED: Final = _event("SERVICE_FAILED", "The scheduler cannot start, so nothing runs.")
SERVICE_STOPPED: Final = _event("SERVICE_STOPPED", "The scheduler has finished its runs and stops.")
AUDIT_HEAD: Final = _event("AUDIT_HEAD", "The last entry of the audit trail, each hour: an anchor for `audit verify`.")
WATCHDOG: Final = _event("WATCHDOG", "A part of the scheduler is unhealthy, or is healthy again.")

LOG_EVENTS: Final = tuple(_events)

# --- Others -----------------------------------------------------------------------------------------------------------

SERVICE_CHECK: Final = Name(
    "scheduler.job.status",
    "Of each job: OK succeeded, WARNING succeeded after retries or degraded, CRITICAL the target is down.",
)
RUN_EVENT: Final = Name("JobRun", "The custom event of a finished run (Application Insights).")
DEAD_LETTER_EVENT: Final = Name("JobDeadLettered", "The custom event of a run given up (Application Insights).")
OTHERS: Final = (SERVICE_CHECK, RUN_EVENT, DEAD_LETTER_EVENT)
