"""Checks other hosts when a run could not reach its target, and judges by their answers and by those of all runs.

Created by scheduler.app.alerting_setup, where no references are configured.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from urllib.parse import urlsplit

from jobs.checks.port import Check
from jobs.ports import Clock
from jobs.running.self_checks.blindness import ReferenceResult, find_blindness, is_clock_confirmed
from jobs.running.self_checks.consensus import EVIDENCE, EXPLAINED, Consensus, find_remote_host
from jobs.running.self_checks.references import ReferenceChecks
from jobs.runs import ErrorClass
from jobs.targets import Target, TcpTarget

MAX_PROBES = 4
"""Connections for one judgement."""
MAX_PEERS = 500
"""Jobs whose hosts are considered."""
_PORTS = {"http": 80, "https": 443}


class PeerChecks:
    """`references`: what the program itself depends on, such as its storage. `list_targets`: those of the jobs."""

    def __init__(
        self,
        references: Sequence[Target],
        list_targets: Callable[[], Iterable[Target]],
        checks: Mapping[str, Check],
        clock: Clock,
    ) -> None:
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
        """See SelfChecks."""
        if error is ErrorClass.TLS_CERTIFICATE and self._references:
            return find_blindness(error, await self._probe(since))
        if error not in EXPLAINED or (endpoint and not find_remote_host(endpoint)):
            return None
        cause = self._consensus.find_cause(error, self._clock.monotonic()) if endpoint else None
        if cause is None:
            # Their answers end the evidence; their failures complete it.
            await self._probe(since)
            cause = self._consensus.find_cause(error, self._clock.monotonic())
        return cause

    async def confirms_clock(self, since: datetime) -> bool:
        """See SelfChecks."""
        return bool(self._references) and is_clock_confirmed(await self._probe(since))

    async def confirms_way(self, since: datetime) -> bool:
        """See SelfChecks."""
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
            peer = _peer_of(target)
            if peer is not None and not self._consensus.is_down(peer.host):
                peers.setdefault(peer.host, peer)
        return sorted(peers.values(), key=lambda each: -self._consensus.answered_at(find_remote_host(each.endpoint)))


def _peer_of(target: Target) -> TcpTarget | None:
    """Return a connection to the host of a target; None if the check does not connect to it directly."""
    if target.kind not in ("http", "tcp", "tls") or getattr(target, "proxy", None) is not None:
        return None
    endpoint = target.endpoint
    host = find_remote_host(endpoint)
    scheme, _, _ = endpoint.partition("://")
    try:
        port = urlsplit(endpoint).port or _PORTS.get(scheme)
    except ValueError:
        return None
    return TcpTarget(kind="tcp", host=host, port=port) if host and port else None
