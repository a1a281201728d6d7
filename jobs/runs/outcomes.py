"""How runs end and why: causes, outcomes, classes of errors, and the reasons of what did not run.

A reason states why a run was skipped, rejected, denied or cancelled, or waits: a code for programs, next to the text.
Made by the gates, the planner and the runner; stored with the run, and shown by the API as `reason`.
"""

from __future__ import annotations

from enum import StrEnum

from jobs.fast_frozen import fast_frozen


class Trigger(StrEnum):
    """The cause of a run."""

    SCHEDULE = "schedule"
    MANUAL = "manual"
    DEPENDENCY = "dependency"
    REPLAY = "replay"
    """A dead-lettered run is executed again."""
    BACKFILL = "backfill"
    """A past due instant is run later. Its result describes the target now, not at that instant."""

    @property
    def is_rerun(self) -> bool:
        """Whether an operator requested the run for a past instant: it waits for other runs and is never skipped."""
        return self is Trigger.REPLAY or self is Trigger.BACKFILL


class Outcome(StrEnum):
    """How a run ended. The `down` outcomes count against the target."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    REJECTED = "rejected"
    SKIPPED = "skipped"
    CANCELLED = "cancelled"

    @property
    def down(self) -> bool:
        """Whether the target counts as down. Includes rejected runs: an open circuit must never hide an outage."""
        return self in (Outcome.FAILED, Outcome.TIMED_OUT, Outcome.REJECTED)


class ErrorClass(StrEnum):
    """The class of an error, for counting and alerting."""

    DNS_FAILURE = "dns_failure"
    DNS_TIMEOUT = "dns_timeout"
    CONNECTION_REFUSED = "connection_refused"
    CONNECTION_RESET = "connection_reset"
    CONNECTION_FAILED = "connection_failed"
    CONNECT_TIMEOUT = "connect_timeout"
    TLS_CERTIFICATE = "tls_certificate"
    TLS_FAILURE = "tls_failure"
    TLS_TIMEOUT = "tls_timeout"
    RESPONSE_TIMEOUT = "response_timeout"
    BODY_TIMEOUT = "body_timeout"
    PROTOCOL_ERROR = "protocol_error"
    TOO_MANY_REDIRECTS = "too_many_redirects"
    UNEXPECTED_STATUS = "unexpected_status"
    EXPECTATION_FAILED = "expectation_failed"
    DNS_ANSWER = "dns_answer"
    """The name server answered with an error: NXDOMAIN, SERVFAIL, REFUSED."""
    TARGET_DENIED = "target_denied"
    """The settings do not allow a connection to the target."""
    HEARTBEAT_MISSING = "heartbeat_missing"
    HEARTBEAT_FAILED = "heartbeat_failed"
    STEP_FAILED = "step_failed"
    CIRCUIT_OPEN = "circuit_open"
    AUTH_FAILED = "auth_failed"
    """A database refused the sign-in."""
    READ_ONLY = "read_only"
    """A database is a replica, or cannot be written, where a primary is expected."""
    TOO_MANY_CONNECTIONS = "too_many_connections"
    PAUSED = "paused"
    """A serverless database is paused, or resumes."""
    STATEMENT_FAILED = "statement_failed"
    """A database answered a statement with an error."""
    SECRET_UNAVAILABLE = "secret_unavailable"
    TOKEN_UNAVAILABLE = "token_unavailable"
    RUN_TIMEOUT = "run_timeout"
    INTERRUPTED = "interrupted"
    DEAD_LETTERED = "dead_lettered"
    OUT_OF_RESOURCES = "out_of_resources"
    """This machine lacked a resource for the connection, such as a file descriptor. No request was sent."""
    INTERNAL_ERROR = "internal_error"

    @property
    def is_connection(self) -> bool:
        """Whether the connection could not be made or broke, so that no usable answer arrived."""
        return self in _CONNECTION_ERRORS

    @property
    def is_timeout(self) -> bool:
        """Whether a timeout expired."""
        return self in _TIMEOUT_ERRORS


_CONNECTION_ERRORS = frozenset(
    {
        ErrorClass.DNS_FAILURE,
        ErrorClass.CONNECTION_REFUSED,
        ErrorClass.CONNECTION_RESET,
        ErrorClass.CONNECTION_FAILED,
        ErrorClass.TLS_FAILURE,
        ErrorClass.PROTOCOL_ERROR,
    }
)
_TIMEOUT_ERRORS = frozenset(
    {
        ErrorClass.DNS_TIMEOUT,
        ErrorClass.CONNECT_TIMEOUT,
        ErrorClass.TLS_TIMEOUT,
        ErrorClass.RESPONSE_TIMEOUT,
        ErrorClass.BODY_TIMEOUT,
        ErrorClass.RUN_TIMEOUT,
    }
)


class ReasonCode(StrEnum):
    """A new reason is a member here. The values are stored: add, never rename."""

    JOB_DISABLED = "job_disabled"
    JOB_PAUSED = "job_paused"
    JOB_CHANGED = "job_changed"
    """The definition in force does not have this run."""
    JOB_REMOVED = "job_removed"
    MISSED = "missed"
    """It fell due while no scheduler ran, and `catch_up` does not repeat it."""
    OVERLAP = "overlap"
    """Another run of its job had not ended."""
    DEPENDENCY = "dependency"
    """A job that it depends on has not run as required."""
    NO_SLOT = "no_slot"
    """Its concurrency group, or `max_running`, was full."""
    NO_CAPACITY = "no_capacity"
    """Its process runs as much as it may."""
    OUT_OF_RESOURCES = "out_of_resources"
    """The machine lacked memory, files or threads for it."""
    BLIND = "blind"
    """The scheduler could not reach anything, so the failure does not describe the target."""
    PENDING = "pending"
    """The target cannot be judged yet."""
    UNKNOWN = "unknown"
    """The service that was to report the state of the target, such as a control plane, could not."""
    STORE_UNAVAILABLE = "store_unavailable"
    """It could not be claimed."""
    IN_PROGRESS = "in_progress"
    """The same run, or another replay of its job, is in progress."""
    CIRCUIT_OPEN = "circuit_open"
    TARGET_DENIED = "target_denied"
    """The rules for targets, secrets or tokens do not allow its request."""
    CANCELLED = "cancelled"
    """A user, or a newer run of its job, requested its end."""
    SHUTDOWN = "shutdown"
    """Its process stopped."""
    INTERRUPTED = "interrupted"
    """Its process died."""


@fast_frozen(frozen=True, slots=True)
class Reason:
    """`message`: one sentence, without a full stop where it is a clause of others."""

    code: ReasonCode
    message: str

    def __str__(self) -> str:
        return self.message
