"""The names of the fields of log lines, custom events and spans. Re-exported by observability.names."""

from __future__ import annotations

from typing import Final

from observability.names.catalogue import Name

_fields: list[Name] = []


def _field(name: str, description: str, unit: str = "") -> str:
    _fields.append(Name(name, description, unit))
    return name


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

FIELDS: Final = tuple(_fields)
