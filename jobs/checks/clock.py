"""The stopwatch of one attempt, the host and port it is connected to, and whether its run may still send requests.

The runner makes the stopwatch and the check marks its phases. When the deadline passes, it shows what the attempt was
waiting for, which becomes the message of the timeout.

A run may send requests only while its lease lasts. A process that stalls for longer than the lease does not notice it,
and another process executes the run by then. So every connection and every request of a check confirms the permission
right before it is sent.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from jobs.errors import LeaseEnded
from jobs.fast_frozen import fast_frozen
from jobs.formats import describe_seconds as seconds
from jobs.formats import format_host_port, host_and_port
from jobs.runs import ErrorClass, Phases


class SendPermission:
    """The permission of one run. `is_valid`: whether its lease still lasts; None: the run has no lease.

    `ends_at`: when it ends as far as is known now, for another process; None: it has ended.
    """

    __slots__ = ("_is_valid", "ends_at", "has_sent")

    def __init__(
        self, is_valid: Callable[[], bool] | None = None, ends_at: Callable[[], datetime | None] | None = None
    ) -> None:
        self._is_valid = is_valid
        self.ends_at = ends_at
        self.has_sent = False
        """Whether the target may have received a request of this run."""

    def confirm(self) -> None:
        """Raise LeaseEnded if nothing may be sent any more."""
        if self._is_valid is not None and not self._is_valid():
            raise LeaseEnded

    def confirm_request(self) -> None:
        """Confirm the permission for data that the target may act upon, which is sent at once. Raises LeaseEnded."""
        self.confirm()
        self.has_sent = True


UNLIMITED = SendPermission()
"""Without a run: requests for tokens, notifications, tests of a definition."""


Phase = Literal["secrets", "token", "dns", "connect", "tls", "first_byte", "body"]
"""In the first two, the attempt does not wait for the target; they are reported, and not stored."""


def judge_nothing(_: str) -> None:
    """No response has started."""


class PhaseClock:
    """Measures phases from their start; a repeated phase (a redirect) adds to the first.

    The total is the sum of the phases: what the program does before, between and after them, such as building the
    request or judging a step, is not the target's time.
    """

    def __init__(self, read: Callable[[], float] = time.perf_counter, permission: SendPermission = UNLIMITED) -> None:
        """`read`: returns monotonic seconds. `permission`: of the run, confirmed by whatever sends something."""
        self._read = read
        self.permission = permission
        self._started = read()
        self._since = self._arrived = self._started
        self._spent: dict[str, float] = {}
        self.current: Phase | None = None
        """The running phase; None before the first."""
        self.current_peer: Peer | None = None
        """Who the phase is about, if not the job's endpoint: the host of a redirect, a proxy, a step."""
        self.address = ""
        """Of the latest connection that was tried; empty while a connection of before is used."""
        self.route_note: Callable[[], str] = str
        """Returns a note about the route to that peer: a sentence, or nothing."""
        self.step_prefix = ""
        """Which of several requests it is, as the start of a sentence: `Step 2 of 3 (order): `."""
        self.facts: Callable[[], Mapping[str, Any]] = dict
        """Returns the facts so far, for an observation that is made at the deadline."""
        self.verdict: tuple[ErrorClass, str] | None = None
        """The result so far, while the check tries to find out more about it."""
        self.judge_incomplete: Callable[[str], tuple[ErrorClass, str] | None] = judge_nothing
        """Judges an incomplete response at the deadline, by the limit as a text; None: it timed out."""

    def enter(self, phase: Phase) -> None:
        """End the running phase and start this one. A connection ended its phase when it was made."""
        now = self._read()
        self._close(max(self._arrived, self._since) if self.current == "connect" else now)
        self.current = phase
        self._since = now

    def enter_at_arrival(self, phase: Phase) -> None:
        """End the running phase and start this one, both when the latest bytes arrived."""
        self._close(max(self._arrived, self._since))
        self.current = phase
        self._since = self._arrived

    def mark_arrival(self) -> None:
        """Note that something of the network arrived just now."""
        self._arrived = self._read()

    def end_at_arrival(self) -> None:
        """End the running phase when its last bytes arrived: the task that reads them may have waited for others."""
        self._close(max(self._arrived, self._since))
        self.current = None

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the start."""
        return (self._read() - self._started) * 1000

    def snapshot(self) -> Phases:
        """Return the phases so far; the running one continues."""
        current = self.current
        phases = self.stop()
        self.current, self._since = current, self._read()
        return phases

    def stop(self) -> Phases:
        """End the running phase and return all of them. Without any phase, the total is the time since the start."""
        if self.current is not None:
            self._close(self._read())
            self.current = None
        spent = self._spent
        return Phases(
            dns_ms=spent.get("dns"),
            connect_ms=spent.get("connect"),
            tls_ms=spent.get("tls"),
            first_byte_ms=spent.get("first_byte"),
            total_ms=round(sum(spent.values()) if spent else self.elapsed_ms, 3),
        )

    def _close(self, now: float) -> None:
        if self.current is not None:
            spent = (now - self._since) * 1000
            self._spent[self.current] = round(self._spent.get(self.current, 0.0) + spent, 3)


@fast_frozen(frozen=True, slots=True)
class Peer:
    """The other side of a connection; as text `db.internal:5432` or `[::1]:5432`."""

    host: str
    port: int
    server_name: str = ""
    """The name in the TLS handshake, if it is not the host."""

    @property
    def tls_name(self) -> str:
        """The name that its certificate must be valid for."""
        return self.server_name or self.host

    def __str__(self) -> str:
        return format_host_port(self.host, self.port)


def peer_of_url(url: str) -> Peer:
    """Return the peer of a URL."""
    return Peer(*host_and_port(url))


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
    # The path does not matter, and jobs of a host have different ones.
    scheme, _, rest = endpoint.partition("://")
    return _split_endpoint(f"{scheme}://{rest.partition('/')[0]}" if rest else endpoint)


# perf: run-cost, 3 us each, four times a run
@lru_cache(4096)
def _split_endpoint(endpoint: str) -> tuple[str, str]:
    host, port = host_and_port(endpoint)
    return (host, format_host_port(host, port)) if host else (endpoint, endpoint)
