"""The names of log events, custom events and service checks, and of the fields of log lines, events and spans.

Re-exported by observability.names.
"""

from __future__ import annotations

from typing import Final

from observability.names.metrics import EventName, FieldName, Name

_events: list[EventName] = []


def _event(name: str, levels: str, description: str) -> str:
    _events.append(EventName(name, description, levels=levels))
    return name


# --- Log events: the `Event` of a structured log line, and the name of a custom event ---------------------------------

JOB_STARTED: Final = _event(
    "JOB_STARTED",
    "INFO, in the Functions host DEBUG",
    "A run has not ended a second after its start. If `log.level` is `debug`, of each run, at its start.",
)
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


_ON_SERVICE_EVENTS = "SERVICE_, WATCHDOG, AUDIT_HEAD, events of the program"
_line_fields: list[Name] = []
_fields: list[FieldName] = []


def _line_field(name: str, description: str) -> str:
    _line_fields.append(Name(name, description))
    return name


def _field(name: str, on: str, description: str, unit: str = "") -> str:
    _fields.append(FieldName(name, description, unit, on))
    return name


# --- Fields of every log line -----------------------------------------------------------------------------------------

TIMESTAMP: Final = _line_field("Timestamp", "When the line was logged: UTC, ISO 8601.")
LEVEL: Final = _line_field("Level", "DEBUG, INFO, WARNING, ERROR or CRITICAL.")
LOGGER: Final = _line_field("Logger", "The module of the program that logs.")
EVENT: Final = _line_field("Event", "The log event; missing on plain lines.")
MESSAGE: Final = _line_field("Message", "The message.")
REQUEST_ID: Final = _line_field(
    "RequestId", "The API request for which the line was logged, if any: its `X-Request-ID`."
)
EXCEPTION: Final = _line_field("Exception", "The traceback, if there is one.")

# --- Fields of log events, custom events and spans --------------------------------------------------------------------

JOB_NAME: Final = _field("JobName", "all", "The job.")
RUN_ID: Final = _field("RunId", "all", "The run: `job@instant`, with a suffix unless scheduled.")
TRIGGER: Final = _field("Trigger", "all", "Why it ran: schedule, manual, dependency, replay or backfill.")
OUTCOME: Final = _field(
    "Outcome",
    "JOB_PERFORMANCE, JOB_FAILED",
    "How it ended: succeeded, failed, timed_out, rejected, skipped or cancelled.",
)
REASON: Final = _field(
    "Reason",
    "JOB_PERFORMANCE, JOB_FAILED",
    "Why it was skipped, rejected or cancelled: unknown, blind, job_paused, circuit_open, ...; omitted otherwise.",
)
CORRELATION_ID: Final = _field(
    "CorrelationId", "all", "The id that links the run to its cause; omitted if it equals the RunId."
)
LATENESS: Final = _field("Lateness", "JOB_STARTED, JOB_PERFORMANCE, JOB_FAILED", "Start minus due instant.", "ms")
WAITS: Final = _field(
    "Waits",
    "JOB_PERFORMANCE",
    "What the run waited for before it started, the longest first, with durations; omitted if it started in time.",
)
DURATION: Final = _field("Duration", "JOB_PERFORMANCE", "The whole run, waits between attempts included.", "ms")
RESPONSE_TIME: Final = _field(
    "ResponseTime", "JOB_PERFORMANCE, JOB_RETRY", "The last attempt only; null without a request.", "ms"
)
SUCCESS: Final = _field("Success", "JOB_PERFORMANCE", "Whether the outcome is succeeded.")
DEGRADED: Final = _field(
    "Degraded",
    "JOB_PERFORMANCE",
    "Whether it succeeded although an expectation of severity `degraded` failed; `Message` names it.",
)
STATUS_CODE: Final = _field(
    "StatusCode", "JOB_PERFORMANCE, JOB_RETRY, JOB_FAILED", "The last answer's HTTP status; null without an answer."
)
ATTEMPTS: Final = _field("Attempts", "JOB_PERFORMANCE", "Number of attempts.")
ATTEMPT_NUMBER: Final = _field(
    "AttemptNumber", "JOB_RETRY, JOB_FAILED", "The attempt that failed (JOB_FAILED: the last one), from 1."
)
NEXT_RETRY_IN: Final = _field(
    "NextRetryIn", "JOB_RETRY, JOB_FAILED", "The wait before the next attempt; null when none follows.", "s"
)
ENDPOINT: Final = _field("Endpoint", "JOB_STARTED, JOB_RETRY, JOB_FAILED", "The target, without query and fragment.")
ERROR_TYPE: Final = _field(
    "ErrorType",
    "JOB_RETRY, JOB_FAILED, JOB_DEAD_LETTERED",
    "The error class: connection_refused, response_timeout, ...",
)
ERROR_MESSAGE: Final = _field("ErrorMessage", "JOB_RETRY, JOB_FAILED, JOB_DEAD_LETTERED", "The error message.")
ANSWER: Final = _field("Answer", "JOB_FAILED", "The start of the answer, if the answer is why the last attempt failed.")
TAGS: Final = _field("Tags", "JOB_PERFORMANCE", "The job's own tags, as an object.")
RUNS_REPRESENTED: Final = _field(
    "Runs", "JOB_PERFORMANCE", "Number of runs that the entry represents, if more than one (Datadog)."
)
INVOCATION_ID: Final = _field(
    "InvocationId", "event, span of a run", "The invocation of the Functions host that executed the run."
)
ENVIRONMENT: Final = _field(
    "Environment",
    _ON_SERVICE_EVENTS,
    "The environment's name: dev, test, prod, ...",
)
VERSION: Final = _field("Version", _ON_SERVICE_EVENTS, "The program's version.")
JOBS: Final = _field("Jobs", "SERVICE_STARTED, JOB_SET_CHANGED", "Number of active jobs.")
HOST: Final = _field("Host", "SERVICE_", "Which host runs the program: embedded or functions.")
ADDRESS: Final = _field("Address", "SERVICE_ADDRESS", "The URL of the dashboard.")
AUDIT_SEQUENCE: Final = _field("AuditSequence", "AUDIT_HEAD", "The number of the last entry of the audit trail.")
AUDIT_HASH: Final = _field("AuditHash", "AUDIT_HEAD", "Its SHA-256.")
AUDIT_ENTRIES: Final = _field("AuditEntries", "AUDIT_HEAD", "Number of stored entries of the audit trail.")
PART: Final = _field("Part", "WATCHDOG", "The part of health: jobs, queue or secrets.")
PLANNED_RUNS: Final = _field("PlannedRuns", "span of a tick", "Number of runs that the tick planned.")
MISSED_SPANS: Final = _field(
    "MissedSpans", "span of a tick", "Number of jobs with due instants before it that no tick planned in time."
)
INCIDENT: Final = _field("Incident", "INCIDENT_", "The incident's id.")
SEVERITY: Final = _field("Severity", "INCIDENT_", "That of its subject.")
SUBJECT: Final = _field("Subject", "INCIDENT_", "The job or group whose open alert is the worst one.")
CAUSE: Final = _field("Cause", "INCIDENT_", "What its alerts share, such as a host; omitted for a single one.")
ALERTS: Final = _field("Alerts", "INCIDENT_", "Number of its alerts.")
ACTOR: Final = _field("Actor", "INCIDENT_", "Who caused the change; omitted if the program did.")
CHANNEL: Final = _field("Channel", "NOTIFICATION_UNDELIVERED", "The channel that failed last.")
NOTIFICATIONS: Final = _field("Notifications", "NOTIFICATION_UNDELIVERED", "Number of notifications given up.")
JOB_SET: Final = _field("JobSet", "JOB_SET_CHANGED", "The digest of the jobs in force.")
STORED_JOBS_VERSION: Final = _field("StoredJobsVersion", "JOB_SET_CHANGED", "The version of the stored jobs.")
ADDED: Final = _field("Added", "JOB_SET_CHANGED", "Number of new jobs; omitted if they changed while no process ran.")
CHANGED: Final = _field("Changed", "JOB_SET_CHANGED", "Number of changed jobs, as above.")
REMOVED: Final = _field("Removed", "JOB_SET_CHANGED", "Number of removed jobs, as above.")
PREVIOUS_VERSION: Final = _field("PreviousVersion", "DEPLOYMENT", "The version before; omitted for the first one.")
DNS_TIME: Final = _field("DnsTime", "span of an attempt", "Name resolution of an attempt.", "ms")
CONNECT_TIME: Final = _field("ConnectTime", "span of an attempt", "TCP connection of an attempt.", "ms")
TLS_TIME: Final = _field("TlsTime", "span of an attempt", "TLS handshake of an attempt.", "ms")
FIRST_BYTE_TIME: Final = _field(
    "FirstByteTime", "span of an attempt", "From the request sent to the first byte of the answer.", "ms"
)

LINE_FIELDS: Final = tuple(_line_fields)
"""Fields of every line."""
EVENT_FIELDS: Final = tuple(_fields)
"""Fields of log events, custom events and spans."""
FIELDS: Final = (*LINE_FIELDS, *EVENT_FIELDS)
