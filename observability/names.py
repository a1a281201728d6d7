"""Every name in logs and telemetry: log events, fields, metrics, tags. Each is defined once, here.

Used by logs, telemetry, the exporters and whatever is generated from them (dashboards, alerts). docs/telemetry.md
explains the same names to operators; a test compares both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Protocol


@dataclass(frozen=True, slots=True)
class Name:
    """A name and its meaning. `unit`: `ms`, `s`, or empty."""

    name: str
    description: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Metric(Name):
    """A `count` is summed, a `distribution` keeps its spread, a `gauge` has its newest value.

    `tags` are all dimensions, so its size is bounded.
    """

    kind: Literal["count", "distribution", "gauge"] = "count"
    tags: tuple[str, ...] = ()


_events: list[Name] = []
_fields: list[Name] = []
_tags: list[Name] = []


def _event(name: str, description: str) -> str:
    _events.append(Name(name, description))
    return name


def _field(name: str, description: str, unit: str = "") -> str:
    _fields.append(Name(name, description, unit))
    return name


def _tag(name: str, description: str) -> str:
    _tags.append(Name(name, description))
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

# --- Fields of every log line -----------------------------------------------------------------------------------------

TIMESTAMP: Final = _field("Timestamp", "When the line was logged: UTC, ISO 8601.")
LEVEL: Final = _field("Level", "DEBUG, INFO, WARNING, ERROR or CRITICAL.")
LOGGER: Final = _field("Logger", "The module of the program that logs.")
EVENT: Final = _field("Event", "The log event; missing on plain lines.")
MESSAGE: Final = _field("Message", "The message.")
REQUEST_ID: Final = _field("RequestId", "The API request for which the line was logged, if any.")
EXCEPTION: Final = _field("Exception", "The traceback, if there is one.")

# --- Fields of log events, custom events and spans --------------------------------------------------------------------

JOB_NAME: Final = _field("JobName", "The job.")
RUN_ID: Final = _field("RunId", "The run: job@instant, with a suffix unless scheduled.")
TRIGGER: Final = _field("Trigger", "Why it ran: schedule, manual, dependency, replay or backfill.")
OUTCOME: Final = _field("Outcome", "How it ended: succeeded, failed, timed_out, rejected, skipped or cancelled.")
CORRELATION_ID: Final = _field(
    "CorrelationId", "The id that links the run to its cause; omitted if it equals the RunId."
)
LATENESS: Final = _field("Lateness", "Start minus due instant.", "ms")
DURATION: Final = _field("Duration", "The whole run, waits between attempts included.", "ms")
RESPONSE_TIME: Final = _field("ResponseTime", "The last attempt only; null without a request.", "ms")
SUCCESS: Final = _field("Success", "Whether the outcome is succeeded.")
DEGRADED: Final = _field("Degraded", "Whether it succeeded although an expectation of severity degraded failed.")
STATUS_CODE: Final = _field("StatusCode", "The last answer's HTTP status; null without an answer.")
ATTEMPTS: Final = _field("Attempts", "Number of attempts.")
ATTEMPT_NUMBER: Final = _field("AttemptNumber", "The attempt that failed (JOB_FAILED: the last one), from 1.")
NEXT_RETRY_IN: Final = _field("NextRetryIn", "The wait before the next attempt; null when none follows.", "s")
ENDPOINT: Final = _field("Endpoint", "The target, without query and fragment.")
ERROR_TYPE: Final = _field("ErrorType", "The error class: connection_refused, response_timeout, ...")
ERROR_MESSAGE: Final = _field("ErrorMessage", "The error message.")
ANSWER: Final = _field("Answer", "The start of the answer, if the answer is why the last attempt failed.")
TAGS: Final = _field("Tags", "The job's own tags, as an object.")
RUNS_REPRESENTED: Final = _field("Runs", "Number of runs that the entry represents, if more than one (Datadog).")
INVOCATION_ID: Final = _field("InvocationId", "The invocation of the Functions host that executed the run.")
ENVIRONMENT: Final = _field("Environment", "The environment's name: dev, test, prod, ...")
VERSION: Final = _field("Version", "The program's version.")
JOBS: Final = _field("Jobs", "Number of active jobs.")
HOST: Final = _field("Host", "Which host runs the program: embedded or functions.")
AUDIT_SEQUENCE: Final = _field("AuditSequence", "The number of the last entry of the audit trail.")
AUDIT_HASH: Final = _field("AuditHash", "Its SHA-256.")
AUDIT_ENTRIES: Final = _field("AuditEntries", "Number of stored entries of the audit trail.")
PART: Final = _field("Part", "The part of health: jobs, queue or secrets.")
DNS_TIME: Final = _field("DnsTime", "Name resolution of an attempt.", "ms")
CONNECT_TIME: Final = _field("ConnectTime", "TCP connection of an attempt.", "ms")
TLS_TIME: Final = _field("TlsTime", "TLS handshake of an attempt.", "ms")
FIRST_BYTE_TIME: Final = _field("FirstByteTime", "From the request sent to the first byte of the answer.", "ms")

# --- Tags of metrics and service checks -------------------------------------------------------------------------------

TAG_JOB: Final = _tag("job", "The job.")
TAG_OUTCOME: Final = _tag("outcome", "As Outcome.")
TAG_DEGRADED: Final = _tag("degraded", "As Degraded: true or false.")
TAG_TRIGGER: Final = _tag("trigger", "As Trigger.")
TAG_ENV: Final = _tag("env", "The environment (Datadog).")
TAG_SERVICE: Final = _tag("service", "The service's name (Datadog).")
TAG_VERSION: Final = _tag(
    "version", "The program's version (Datadog, except on metrics: each release would create all of them again)."
)

# --- Metrics ----------------------------------------------------------------------------------------------------------

RUNS: Final = Metric(
    "scheduler.job.runs", "Finished runs.", "", "count", (TAG_JOB, TAG_OUTCOME, TAG_DEGRADED, TAG_TRIGGER)
)
DURATIONS: Final = Metric(
    "scheduler.job.duration", "Duration of finished runs.", "ms", "distribution", (TAG_JOB, TAG_OUTCOME)
)
RESPONSE_TIMES: Final = Metric(
    "scheduler.job.response_time", "Duration of the last attempt.", "ms", "distribution", (TAG_JOB, TAG_OUTCOME)
)
LATENESSES: Final = Metric("scheduler.job.lateness", "Start minus due instant.", "ms", "distribution", (TAG_JOB,))
ATTEMPT_COUNTS: Final = Metric("scheduler.job.attempts", "Attempts of a run.", "", "distribution", (TAG_JOB,))
DEAD_LETTERS: Final = Metric("scheduler.job.dead_letters", "Runs given up.", "", "count", (TAG_JOB,))


class GaugeDeclaration(Protocol):
    """A gauge of the watchdog, as scheduler.watchdog.gauges declares it."""

    @property
    def name(self) -> str: ...

    @property
    def description(self) -> str: ...

    @property
    def unit(self) -> str: ...


def gauge_metric(gauge: GaugeDeclaration) -> Metric:
    """Return the metric of a gauge."""
    return Metric(f"scheduler.watchdog.{gauge.name}", gauge.description, gauge.unit, "gauge")


# --- Others -----------------------------------------------------------------------------------------------------------

SERVICE_CHECK: Final = Name(
    "scheduler.job.status",
    "Of each job: OK succeeded, WARNING succeeded after retries or degraded, CRITICAL the target is down.",
)
RUN_EVENT: Final = Name("JobRun", "The custom event of a finished run (Application Insights).")
DEAD_LETTER_EVENT: Final = Name("JobDeadLettered", "The custom event of a run given up (Application Insights).")

LOG_EVENTS: Final = tuple(_events)
FIELDS: Final = tuple(_fields)
METRIC_TAGS: Final = tuple(_tags)
METRICS: Final = (RUNS, DURATIONS, RESPONSE_TIMES, LATENESSES, ATTEMPT_COUNTS, DEAD_LETTERS)
"""The metrics of runs. The gauges: scheduler.watchdog.gauges."""
OTHERS: Final = (SERVICE_CHECK, RUN_EVENT, DEAD_LETTER_EVENT)
