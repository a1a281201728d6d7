"""Finds whether the scheduler itself is the cause of failures: it reaches nothing, or its clock is wrong.

Such a scheduler is blind: the failures of its runs do not describe their targets. There are two implementations of
SelfChecks. With configured references, ReferenceChecks judges their results, cached so that a storm of failures checks
them once:

    references              errors that they explain
    all fail to resolve     dns_failure, dns_timeout
    all fail to connect     connections that are refused, reset or time out, and those above
    the clock is wrong      tls_certificate

If one reference answers, the network works, and failures describe their targets.

Without references, PeerChecks records the attempts of all jobs, and connects to other hosts when a run could not reach
its target. Consensus judges both, by host:

    the error of a host                                             counts as
    none, a status, an expectation, a late or broken answer         an answer: the way to it works
    dns_failure, dns_timeout, connect_timeout, connection_failed    evidence against the scheduler
    refused, reset, TLS, credentials, and others                    neither

The scheduler is blind when, within MAX_AGE, at least MIN_HOSTS hosts gave evidence and no host has answered since.
Hosts on this machine do not count. A host that failed while others answered is down itself: it gives no evidence until
it has answered again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache, partial
from ipaddress import ip_address
from urllib.parse import urlsplit

from jobs.checks.clock import PhaseClock
from jobs.checks.outbound import DIRECT, Outbound
from jobs.checks.port import AttemptContext, Check
from jobs.fast_frozen import fast_frozen
from jobs.policies.execution import NO_TRACE_CONTEXT
from jobs.ports import Clock
from jobs.running.clocks import run_with_deadline
from jobs.runs import ErrorClass, Observation, Phases
from jobs.targets import HttpTarget, Target, TcpTarget

MAX_CLOCK_ERROR = timedelta(minutes=2)
"""Between this clock and that of a reference. Certificates and tokens are judged by the clock."""

_DNS_ERRORS = frozenset({ErrorClass.DNS_FAILURE, ErrorClass.DNS_TIMEOUT})
_UNREACHED = _DNS_ERRORS | {
    ErrorClass.CONNECTION_REFUSED,
    ErrorClass.CONNECTION_RESET,
    ErrorClass.CONNECTION_FAILED,
    ErrorClass.CONNECT_TIMEOUT,
    ErrorClass.TLS_TIMEOUT,
    ErrorClass.TLS_FAILURE,
}
"""No answer of the target arrived. A run can end by its own limit while it connects."""
EGRESS_ERRORS = _UNREACHED | {ErrorClass.RUN_TIMEOUT}
_CLOCK_ERRORS = frozenset({ErrorClass.TLS_CERTIFICATE})


@fast_frozen(frozen=True, slots=True)
class ReferenceResult:
    """`error`: None if the reference answered, whatever it answered. `clock_error`: this clock minus its clock."""

    name: str
    error: ErrorClass | None
    message: str = ""
    clock_error: timedelta | None = None


def find_blindness(error: ErrorClass, results: Sequence[ReferenceResult]) -> str | None:
    """Return the cause of such errors of all targets, a clause without a full stop; None: they describe the target."""
    if not results:
        return None
    if error in _DNS_ERRORS and all(each.error in _DNS_ERRORS for each in results):
        return f"the scheduler cannot resolve names: {_describe(results)}"
    if error in EGRESS_ERRORS and all(each.error in _UNREACHED for each in results):
        return f"the scheduler cannot connect to anything: {_describe(results)}"
    if error in _CLOCK_ERRORS:
        return _describe_clock(results)
    return None


def is_clock_confirmed(results: Sequence[ReferenceResult]) -> bool:
    """Return whether the clocks of most references that show one agree with this clock; False without any."""
    return any(each.clock_error is not None for each in results) and _describe_clock(results) is None


def _describe_clock(results: Sequence[ReferenceResult]) -> str | None:
    """Return the cause if most references that show a clock agree that this clock is wrong."""
    clock_errors = sorted(each.clock_error for each in results if each.clock_error is not None)
    if not clock_errors:
        return None
    # The median: a single reference with a wrong clock does not matter.
    middle = clock_errors[len(clock_errors) // 2]
    if abs(middle) <= MAX_CLOCK_ERROR:
        return None
    direction = "ahead of" if middle > timedelta() else "behind"
    seconds = round(abs(middle).total_seconds())
    return f"the clock of the scheduler is {seconds} s {direction} that of {', '.join(each.name for each in results)}"


def _describe(results: Sequence[ReferenceResult]) -> str:
    return "; ".join(f"{each.name}: {each.error}" for each in results[:3])


REFERENCE_TIMEOUT = 3.0
"""Seconds for one reference. All are checked concurrently."""
MAX_RESULT_AGE = timedelta(seconds=5)
"""Results are used for runs that started this long before them at most."""


def parse_references(addresses: Iterable[str]) -> list[Target]:
    """Return the targets of valid addresses, URLs or `tcp://host:port`. An answer of any status is an answer."""
    targets: list[Target] = []
    for address in addresses:
        if address.startswith("tcp://"):
            host, _, port = address.removeprefix("tcp://").rpartition(":")
            targets.append(TcpTarget(kind="tcp", host=host.strip("[]"), port=int(port)))
        else:
            targets.append(HttpTarget.model_validate({"url": address, "method": "HEAD", "redirects": 0}))
    return targets


class ReferenceChecks:
    """Implements SelfChecks by targets that answer whenever the scheduler can reach anything.

    `targets`: a function chooses them before each check.
    """

    def __init__(
        self, targets: Sequence[Target] | Callable[[], Sequence[Target]], checks: Mapping[str, Check], clock: Clock
    ) -> None:
        self._list_targets = targets if callable(targets) else partial(tuple, targets)
        self._checks = checks
        self._clock = clock
        self._results: tuple[ReferenceResult, ...] = ()
        self._checked_at: datetime | None = None
        self._lock = asyncio.Lock()

    def record(self, endpoint: str, error: ErrorClass | None) -> None:
        """Do nothing: the references decide alone."""

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        return find_blindness(error, await self.check(since))

    async def confirms_clock(self, since: datetime) -> bool:
        return is_clock_confirmed(await self.check(since))

    async def confirms_way(self, since: datetime) -> bool:
        return any(each.error is None for each in await self.check(since))

    async def check(self, since: datetime) -> tuple[ReferenceResult, ...]:
        """Return results that are newer than `since` and at most MAX_RESULT_AGE old. Concurrent callers share them."""
        async with self._lock:
            if not self._is_current(since):
                self._results = tuple(await asyncio.gather(*map(self._check, self._list_targets())))
                self._checked_at = self._clock.now()
            return self._results

    def _is_current(self, since: datetime) -> bool:
        if self._checked_at is None:
            return False
        age = self._clock.now() - self._checked_at
        return self._checked_at >= since and timedelta() <= age <= MAX_RESULT_AGE

    async def _check(self, target: Target) -> ReferenceResult:
        clock = PhaseClock()
        call = AttemptContext("self-check", 1, clock, telemetry=NO_TRACE_CONTEXT)

        def on_timeout() -> Observation:
            return Observation(Phases(), error=ErrorClass.CONNECT_TIMEOUT, message="no answer")

        try:
            check = self._checks[target.kind]
            seen = await run_with_deadline(check.observe(target, call), REFERENCE_TIMEOUT, on_timeout)
        except Exception as error:
            # A defect of a check must not excuse the failures of targets.
            return ReferenceResult(target.endpoint, ErrorClass.INTERNAL_ERROR, type(error).__name__)
        finally:
            call.values.close()
        return ReferenceResult(target.endpoint, seen.error, seen.message, self._clock_error(seen))

    def _clock_error(self, seen: Observation) -> timedelta | None:
        try:
            return self._clock.now() - parsedate_to_datetime(seen.headers["date"])
        except (KeyError, ValueError, TypeError):
            return None


MIN_HOSTS = 3
"""Distinct ones. Two services can fail together; if more fail and none answers, the cause is near the scheduler."""
MAX_AGE = 60.0
"""Seconds for which a failure is evidence."""

EVIDENCE = _DNS_ERRORS | {ErrorClass.CONNECT_TIMEOUT, ErrorClass.CONNECTION_FAILED}
"""Errors that a fault in the network of the scheduler itself causes for every target."""
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
    """The latest results by host, and what they have in common. Instants are those of a monotonic clock."""

    def __init__(self) -> None:
        self._failures: dict[str, tuple[float, ErrorClass]] = {}
        """By host, since the last answer of any host."""
        self._down: set[str] = set()
        """Hosts that failed while others answered."""
        self._answered: dict[str, float] = {}
        """The latest answer of each host."""

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
            # This answer proves that the network works: the hosts that failed are down themselves.
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
        what = "resolve names" if all(each in _DNS_ERRORS for each in recent.values()) else "connect to anything"
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


MAX_PROBES = 4
"""Connections for one judgement."""
MAX_PEERS = 500
"""Jobs whose hosts are considered."""
_PORTS = {"http": 80, "https": 443}


class PeerChecks:
    """Implements SelfChecks by the results of all jobs, and by connections to some of their hosts.

    `references`: what the program itself depends on, such as its storage. `list_targets`: the targets of the jobs.
    Those that use the proxy of `outbound` are not connected to.
    """

    def __init__(
        self,
        references: Sequence[Target],
        list_targets: Callable[[], Iterable[Target]],
        checks: Mapping[str, Check],
        clock: Clock,
        outbound: Outbound = DIRECT,
    ) -> None:
        self._outbound = outbound
        self._references = tuple(references)
        self._list_targets = list_targets
        self._clock = clock
        self._consensus = Consensus()
        self._probes = ReferenceChecks(self._choose_targets, checks, clock)
        self._lock = asyncio.Lock()

    def record(self, endpoint: str, error: ErrorClass | None) -> None:
        """Take notice of the end of a run."""
        self._consensus.record(endpoint, error, self._clock.monotonic())

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        """Return why the scheduler itself causes such errors, by the references or by the errors of other hosts."""
        if error is ErrorClass.TLS_CERTIFICATE and self._references:
            return find_blindness(error, await self._probe(since))
        if error not in EXPLAINED or (endpoint and not find_remote_host(endpoint)):
            return None
        cause = self._consensus.find_cause(error, self._clock.monotonic()) if endpoint else None
        if cause is None:
            # An answer of another host ends the evidence; its failure adds to it.
            await self._probe(since)
            cause = self._consensus.find_cause(error, self._clock.monotonic())
        return cause

    async def confirms_clock(self, since: datetime) -> bool:
        """Return whether the clocks of most references agree with this one."""
        return bool(self._references) and is_clock_confirmed(await self._probe(since))

    async def confirms_way(self, since: datetime) -> bool:
        """Return whether a reference answers now."""
        return any(each.error is None for each in await self._probe(since))

    async def _probe(self, since: datetime) -> Sequence[ReferenceResult]:
        async with self._lock:
            results = await self._probes.check(since)
            # Answers last: a host that answers proves the way, whichever of them failed at the same time.
            for each in sorted(results, key=lambda each: each.error not in EVIDENCE):
                self._consensus.record(each.name, each.error, self._clock.monotonic())
            return results

    def _choose_targets(self) -> Sequence[Target]:
        """Return the references, and the hosts of jobs that answered most recently."""
        chosen: dict[str, Target] = {}
        for target in (*self._references, *self._list_peers()):
            if len(chosen) < MAX_PROBES:
                chosen.setdefault(find_remote_host(target.endpoint), target)
        return tuple(chosen.values())

    def _list_peers(self) -> Iterable[Target]:
        peers: dict[str, Target] = {}
        for _, target in zip(range(MAX_PEERS), self._list_targets(), strict=False):
            peer = None if self._outbound.uses_proxy(target) else _peer_of(target)
            if peer is not None and not self._consensus.is_down(peer.host):
                peers.setdefault(peer.host, peer)
        return sorted(peers.values(), key=lambda each: -self._consensus.answered_at(find_remote_host(each.endpoint)))


def _peer_of(target: Target) -> TcpTarget | None:
    """Return a connection to the host of a target; None if the check does not connect to it directly."""
    if target.kind not in ("http", "tcp", "tls") or getattr(target, "own_proxy", None) is not None:
        return None
    endpoint = target.endpoint
    host = find_remote_host(endpoint)
    scheme, _, _ = endpoint.partition("://")
    try:
        port = urlsplit(endpoint).port or _PORTS.get(scheme)
    except ValueError:
        return None
    return TcpTarget(kind="tcp", host=host, port=port) if host and port else None
