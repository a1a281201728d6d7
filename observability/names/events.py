"""The names of log events, custom events and service checks. Re-exported by observability.names."""

from __future__ import annotations

from typing import Final

from observability.names.catalogue import EventName, Name

_events: list[EventName] = []


def _event(name: str, levels: str, description: str) -> str:
    _events.append(EventName(name, description, levels=levels))
    return name


# --- Log events: the `Event` of a structured log line, and the name of a custom event ---------------------------------

JOB_STARTED: Final = _event("JOB_STARTED", "INFO, in the Functions host DEBUG", "A run starts.")
JOB_PERFORMANCE: Final = _event("JOB_PERFORMANCE", "INFO", "A run is finished, whatever its outcome.")
JOB_RETRY: Final = _event("JOB_RETRY", "WARNING", "An attempt failed and another one follows.")
JOB_FAILED: Final = _event(
    "JOB_FAILED", "ERROR", "A run is finished and its target is down: outcome failed, timed_out or rejected."
)
JOB_DEAD_LETTERED: Final = _event("JOB_DEAD_LETTERED", "ERROR", "A run is given up and stored as a dead letter.")
SERVICE_STARTED: Final = _event("SERVICE_STARTED", "INFO", "The scheduler is ready and starts to plan.")
SERVICE_ADDRESS: Final = _event(
    "SERVICE_ADDRESS", "INFO", "Embedded host: where the dashboard is, as the last line of the start."
)
SERVICE_FAILED: Final = _event(
    "SERVICE_FAILED",
    "ERROR",
    "The scheduler cannot start, so nothing runs: the message has every problem. Repeated each minute in the Functions "
    "host until the start succeeds.",
)
SERVICE_STOPPED: Final = _event("SERVICE_STOPPED", "INFO", "The scheduler has finished its runs and stops.")
AUDIT_HEAD: Final = _event(
    "AUDIT_HEAD",
    "INFO",
    "The last entry of the audit trail, each hour and when the host stops: an anchor for "
    "[`audit verify`](access.md#the-audit-trail).",
)
WATCHDOG: Final = _event(
    "WATCHDOG",
    "WARNING, INFO",
    "A part of the scheduler is unhealthy (WARNING), or is healthy again (INFO). Logged once for each change.",
)

# Events of the program: custom events of Application Insights, and events of Datadog.
INCIDENT_OPENED: Final = _event("INCIDENT_OPENED", "WARNING", "An incident was opened, before anyone is notified.")
INCIDENT_REOPENED: Final = _event("INCIDENT_REOPENED", "WARNING", "A resolved incident was opened again.")
INCIDENT_ACKNOWLEDGED: Final = _event("INCIDENT_ACKNOWLEDGED", "INFO", "A person works on the incident.")
INCIDENT_RESOLVED: Final = _event("INCIDENT_RESOLVED", "INFO", "All its alerts have ended, or a person ended it.")
NOTIFICATION_UNDELIVERED: Final = _event(
    "NOTIFICATION_UNDELIVERED", "ERROR", "Notifications were given up: no channel accepted them."
)
JOB_SET_CHANGED: Final = _event(
    "JOB_SET_CHANGED", "INFO", "Other jobs are in force: files or stored jobs were changed. Once for all processes."
)
DEPLOYMENT: Final = _event(
    "DEPLOYMENT", "INFO", "A version of the program runs for the first time on this store. Once for all processes."
)

LOG_EVENTS: Final = tuple(_events)

# --- Others -----------------------------------------------------------------------------------------------------------

SERVICE_CHECK: Final = Name(
    "scheduler.job.status",
    "Service check (Datadog), of each job: OK succeeded, WARNING succeeded after retries or degraded, CRITICAL the "
    "target is down.",
)
RUN_EVENT: Final = Name("JobRun", "The custom event of a finished run (Application Insights).")
DEAD_LETTER_EVENT: Final = Name("JobDeadLettered", "The custom event of a run given up (Application Insights).")
OTHERS: Final = (SERVICE_CHECK, RUN_EVENT, DEAD_LETTER_EVENT)
