"""The classes of errors of a run."""

from __future__ import annotations

from enum import StrEnum


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
