"""Judges by the attempts of all jobs whether the scheduler can reach anything: without configured references. Pure.

    the error of a host                                             counts as
    none, a status, an expectation, a late or broken answer         an answer: the way to it works
    dns_failure, dns_timeout, connect_timeout, connection_failed    evidence against the scheduler
    refused, reset, TLS, credentials, and others                    neither

The scheduler is blind when, within MAX_AGE, at least MIN_HOSTS hosts gave evidence and no host has answered since.
Hosts on this machine do not count. A host that failed while others answered is down itself: it gives no evidence until
it has answered again.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from jobs.runs.error_classes import ErrorClass

MIN_HOSTS = 3
"""Distinct ones. Two services can fail together; if more fail and none answers, the cause is near the scheduler."""
MAX_AGE = 60.0
"""Seconds for which a failure is evidence."""

_DNS = frozenset({ErrorClass.DNS_FAILURE, ErrorClass.DNS_TIMEOUT})
EVIDENCE = _DNS | {ErrorClass.CONNECT_TIMEOUT, ErrorClass.CONNECTION_FAILED}
EXPLAINED = EVIDENCE | {ErrorClass.TLS_TIMEOUT, ErrorClass.RUN_TIMEOUT}
"""Errors of runs that do not describe their target while the scheduler is blind."""
_ANSWERS = frozenset(
    {
        None,
        ErrorClass.UNEXPECTED_STATUS,
        ErrorClass.EXPECTATION_FAILED,
        ErrorClass.RESPONSE_TIMEOUT,
        ErrorClass.BODY_TIMEOUT,
        ErrorClass.PROTOCOL_ERROR,
        ErrorClass.TOO_MANY_REDIRECTS,
        ErrorClass.TLS_CERTIFICATE,
        ErrorClass.DNS_ANSWER,
    }
)


class Consensus:
    """Instants are those of a monotonic clock."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[float, ErrorClass]] = {}
        """By host, since the last answer of any host."""
        self._down: set[str] = set()
        """Hosts that failed while others answered."""
        self._answered: dict[str, float] = {}

    def record(self, endpoint: str, error: ErrorClass | None, at: float) -> None:
        """Take notice of an attempt to reach an endpoint, which is a URL."""
        if error not in _ANSWERS and error not in EVIDENCE:
            return
        host = find_remote_host(endpoint)
        if not host:
            return
        if error in _ANSWERS:
            self._answered[host] = at
            self._down.discard(host)
            if self._failures:
                self._down |= self._failures.keys() - {host}
                self._failures.clear()
        elif error is not None and host not in self._down:
            self._failures[host] = at, error

    def find_cause(self, error: ErrorClass, at: float) -> str | None:
        """Return why the scheduler itself causes such errors, a clause; None: they describe their target."""
        recent = {host: each for host, (failed_at, each) in self._failures.items() if at - failed_at <= MAX_AGE}
        if error not in EXPLAINED or len(recent) < MIN_HOSTS:
            return None
        what = "resolve names" if all(each in _DNS for each in recent.values()) else "connect to anything"
        named = "; ".join(f"{host}: {each}" for host, each in sorted(recent.items())[:MIN_HOSTS])
        others = f"; and {len(recent) - MIN_HOSTS} other hosts" if len(recent) > MIN_HOSTS else ""
        return f"the scheduler cannot {what}: {named}{others}"

    def has_failed(self, host: str, at: float) -> bool:
        """Return whether a host gives evidence now."""
        return host in self._failures and at - self._failures[host][0] <= MAX_AGE

    def is_down(self, host: str) -> bool:
        """Return whether a host failed while others answered."""
        return host in self._down

    def answered_at(self, host: str) -> float:
        """Return when a host answered last; a negative number if it is not known to have."""
        return self._answered.get(host, -1.0)


@lru_cache(maxsize=16384)
def find_remote_host(endpoint: str) -> str:
    """Return the host of a URL; empty without one, and for this machine."""
    try:
        host = urlsplit(endpoint).hostname or ""
    except ValueError:
        return ""
    if not host or host == "localhost" or host.endswith(".localhost"):
        return ""
    try:
        return "" if ip_address(host).is_loopback else host
    except ValueError:
        return host
