"""What the runner says about an attempt that went wrong: one sentence an operator understands. Pure.

Called by execution.py, verdicts.py and budget.py. A check words its own errors; here is what only the runner knows.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from jobs.checks.clock import Phase
from jobs.durations import seconds_text as seconds
from jobs.runs import ErrorClass

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
        "look at the app's managed identity, or at the token_url of its auth.",
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


def timed_out(phase: Phase | None, endpoint: str, limit_s: float) -> tuple[ErrorClass, str]:
    """The error class and the sentence of an attempt whose deadline passed during `phase` (None: outside of any)."""
    if endpoint.startswith("dns:"):
        return ErrorClass.DNS_TIMEOUT, f"No answer to {endpoint} within {seconds(limit_s)}: the name server is silent."
    error, sentence = _TIMED_OUT[phase]
    host, peer = _peer(endpoint)
    return error, sentence.format(host=host, peer=peer, limit=seconds(limit_s))


def no_time(wait_s: float, retry_after_s: float | None, left_s: float) -> str:
    """Why there is no further attempt although the policy allows one."""
    left = f"only {seconds(left_s)} of the run are left"
    if retry_after_s is not None and retry_after_s >= wait_s:
        return f"Not tried again: the target asked to wait {seconds(retry_after_s)}, {left}."
    return f"Not tried again: the next attempt was due in {seconds(wait_s)}, {left}."


def over_budget(endpoint: str, per_minute: float) -> str:
    """Why there is no further attempt although policy and time allow one."""
    host = host_of(endpoint)
    return f"Not tried again: the retry budget of {host} is used up ({per_minute:g} a minute for all jobs together)."


def host_of(endpoint: str) -> str:
    """An endpoint's host with the port."""
    return _peer(endpoint)[1]


def _peer(endpoint: str) -> tuple[str, str]:
    """An endpoint's host, and its host with the port."""
    parts = urlsplit(endpoint)
    if not parts.hostname:
        return endpoint, endpoint
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return parts.hostname, f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
