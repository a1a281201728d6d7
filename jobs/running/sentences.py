"""What the runner says about an attempt that went wrong: one sentence an operator understands. Pure.

Called by execution.py and verdicts.py. A check words its own errors; here is what only the runner knows.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from jobs.checks.clock import Phase
from jobs.problems import printable
from jobs.runs import ErrorClass, Failure, Observation, Severity

_TIMED_OUT: dict[Phase | None, tuple[ErrorClass, str]] = {
    # Not the target's fault: these classes do not count against it, nor against its circuit.
    "secrets": (
        ErrorClass.SECRET_UNAVAILABLE,
        "{peer} was not asked: the secrets for it did not come within {limit}; "
        "look at the Key Vault, and at the way to it.",
    ),
    "token": (
        ErrorClass.TOKEN_UNAVAILABLE,
        "{peer} was not asked: the access token for it did not come within {limit}; "
        "look at the app's managed identity.",
    ),
    "dns": (ErrorClass.DNS_TIMEOUT, "No answer from the DNS about {host} within {limit}."),
    "connect": (
        ErrorClass.CONNECT_TIMEOUT,
        "No connection to {peer} within {limit}: nothing answered there (host down, or a firewall drops the packets).",
    ),
    "tls": (
        ErrorClass.TLS_TIMEOUT,
        "No TLS session with {peer} within {limit}: it accepted the connection, but did not finish the handshake.",
    ),
    "first_byte": (
        ErrorClass.RESPONSE_TIMEOUT,
        "No answer from {peer} within {limit}: it accepted the connection, then stayed silent.",
    ),
    "body": (
        ErrorClass.BODY_TIMEOUT,
        "No whole answer from {peer} within {limit}: it began to answer, then was too slow or stopped.",
    ),
    None: (ErrorClass.RESPONSE_TIMEOUT, "No answer from {peer} within {limit}: the request was not on its way."),
}

_OF_STATUS = ("status", "status_not")


def timed_out(phase: Phase | None, endpoint: str, limit_s: float) -> tuple[ErrorClass, str]:
    """The error class and the sentence of an attempt whose deadline passed during `phase` (None: outside of any)."""
    if endpoint.startswith("dns:"):
        return ErrorClass.DNS_TIMEOUT, f"No answer to {endpoint} within {seconds(limit_s)}: the name server is silent."
    error, sentence = _TIMED_OUT[phase]
    host, peer = _peer(endpoint)
    return error, sentence.format(host=host, peer=peer, limit=seconds(limit_s))


def unmet(observation: Observation, failures: Sequence[Failure]) -> tuple[ErrorClass, str]:
    """The error class and the sentence of an answer that was not as expected."""
    # What decides comes first, what would only have been degraded after it.
    failures = sorted(failures, key=lambda failure: failure.severity is Severity.DEGRADED)
    decisive = (failure for failure in failures if failure.severity is Severity.FAIL)
    status = next((failure for failure in decisive if failure.expectation in _OF_STATUS), None)
    if status is None:
        return ErrorClass.EXPECTATION_FAILED, f"Not as expected: {_joined(failures)}."
    # The reason is the target's text: a terminal must not act upon it.
    answered = f"Answered {observation.status} {printable(observation.reason)}".rstrip()
    sentence = f"{answered}, expected {status.expected}"
    others = [failure for failure in failures if failure is not status]
    if observation.retry_after_s is not None:
        sentence += f", and asked to wait {seconds(observation.retry_after_s)} (Retry-After)"
    return ErrorClass.UNEXPECTED_STATUS, sentence + (f"; also {_joined(others)}." if others else ".")


def degraded(failures: Sequence[Failure]) -> str:
    """The sentence of an answer that is good enough, and not as good as it should be."""
    return f"Degraded: {_joined(failures)}."


def no_time(wait_s: float, retry_after_s: float | None, left_s: float) -> str:
    """Why there is no further attempt although the policy allows one."""
    left = f"only {seconds(left_s)} of the run are left"
    if retry_after_s is not None and retry_after_s >= wait_s:
        return f"Not tried again: the target asked to wait {seconds(retry_after_s)}, {left}."
    return f"Not tried again: the next attempt was due in {seconds(wait_s)}, {left}."


def seconds(value: float) -> str:
    """A time as people say it: `350 ms`, `2.5 s`, `120 s`."""
    if value < 1:
        return f"{max(value, 0) * 1000:.0f} ms"
    return f"{value:.1f}".removesuffix(".0") + " s"


def _joined(failures: Sequence[Failure]) -> str:
    return "; ".join(map(str, failures))


def _peer(endpoint: str) -> tuple[str, str]:
    """An endpoint's host, and its host with the port."""
    parts = urlsplit(endpoint)
    if not parts.hostname:
        return endpoint, endpoint
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.hostname, f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
