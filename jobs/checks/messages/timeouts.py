"""Messages about a deadline that passed: what the attempt was waiting for. Pure.

Called by jobs.running.observing for an attempt, and by jobs.checks.kinds.step_sequence for a step.
"""

from __future__ import annotations

from jobs.checks.clock import Phase, PhaseClock
from jobs.formats import describe_seconds as seconds
from jobs.formats import format_host_port, host_and_port
from jobs.runs import ErrorClass

_TIMED_OUT: dict[Phase | None, tuple[ErrorClass, str]] = {
    # Not the target's fault: these classes do not count for its circuit.
    "secrets": (
        ErrorClass.SECRET_UNAVAILABLE,
        "Nothing was sent to {peer}: its secrets were not available within {limit}; "
        "check the Key Vault and the route to it.",
    ),
    "token": (
        ErrorClass.TOKEN_UNAVAILABLE,
        "Nothing was sent to {peer}: its access token was not available within {limit}; "
        "check the app's managed identity, or the token_url of its auth.",
    ),
    "dns": (ErrorClass.DNS_TIMEOUT, "No answer from the DNS about {host} within {limit}."),
    "connect": (
        ErrorClass.CONNECT_TIMEOUT,
        "No connection to {peer} within {limit}: nothing answered (host down, or a firewall drops the packets).",
    ),
    "tls": (
        ErrorClass.TLS_TIMEOUT,
        "No TLS session with {peer} within {limit}: it accepted the connection, but did not finish the handshake.",
    ),
    "first_byte": (
        ErrorClass.RESPONSE_TIMEOUT,
        "No response from {peer} within {limit}: it accepted the connection, then stayed silent.",
    ),
    "body": (
        ErrorClass.BODY_TIMEOUT,
        "No complete response from {peer} within {limit}: it started to respond, then was too slow or stopped.",
    ),
    None: (ErrorClass.RESPONSE_TIMEOUT, "No response from {peer} within {limit}: the request was not sent yet."),
}


def describe_deadline(clock: PhaseClock, endpoint: str, limit_s: float) -> tuple[ErrorClass, str]:
    """Return error class and message of an attempt whose deadline passed, by its clock."""
    if clock.verdict is not None:
        return clock.verdict
    if (verdict := clock.judge_incomplete(seconds(limit_s))) is not None:
        return verdict
    peer = clock.current_peer
    error, sentence = describe_timeout(
        clock.current, endpoint, limit_s, (peer.host, str(peer)) if peer is not None else None
    )
    return error, f"{sentence} {clock.route_note()}".rstrip()


def describe_timeout(
    phase: Phase | None, endpoint: str, limit_s: float, peer: tuple[str, str] | None = None
) -> tuple[ErrorClass, str]:
    """Return error class and message of an attempt whose deadline passed during `phase` (None: outside of any).

    `peer`: a host, and the host with its port, if the attempt did not wait for the endpoint.
    """
    if endpoint.startswith("dns:"):
        return ErrorClass.DNS_TIMEOUT, f"No answer to {endpoint} within {seconds(limit_s)}: the name server is silent."
    error, sentence = _TIMED_OUT[phase]
    host, place = peer or host_and_endpoint(endpoint)
    return error, sentence.format(host=host, peer=place, limit=seconds(limit_s))


def host_and_endpoint(endpoint: str) -> tuple[str, str]:
    """Return an endpoint's host, and its host with the port."""
    host, port = host_and_port(endpoint)
    return (host, format_host_port(host, port)) if host else (endpoint, endpoint)
