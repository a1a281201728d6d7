"""The check of a TLS target: a handshake, and what the other side showed in it. Made by jobs.checks."""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from datetime import UTC, datetime

from jobs.certificates import Certificate
from jobs.checks.clock import PhaseClock
from jobs.checks.errors import TargetDenied
from jobs.checks.faults import explain
from jobs.checks.loading import load_tls
from jobs.checks.network import Network
from jobs.checks.peer import Peer
from jobs.checks.port import Call
from jobs.checks.sessions import certificate_facts, certificates_of, first_of, session_facts
from jobs.checks.tls_contexts import TlsContexts
from jobs.problems import printable
from jobs.runs import ErrorClass, Observation
from jobs.targets.http import Tls
from jobs.targets.tls import TlsTarget

_PATIENCE = 2.0
"""Seconds for the second handshake, which only tells more about what the first has found."""


class TlsCheck:
    """Observes TLS targets, for one event loop. The network and the contexts are shared, and closed by their owner."""

    def __init__(self, network: Network, contexts: TlsContexts) -> None:
        self._network = network
        self._contexts = contexts

    async def observe(self, target: TlsTarget, call: Call) -> Observation:
        """Shake hands once; a certificate that is not accepted is looked at by a second handshake."""
        peer = Peer(target.host, target.port, target.server_name or "")
        try:
            return await self._shaken(target, target.tls, call.clock)
        except ssl.SSLCertVerificationError as error:
            error_class, message = explain(error, "tls", peer) or (ErrorClass.TLS_CERTIFICATE, f"{error}")
            call.clock.found = error_class, message
            shown = await self._shown(target)
            phases = call.clock.stop()
            if shown is None:
                return Observation(phases, error=error_class, message=message)
            return Observation(
                phases,
                error=error_class,
                message=f"{message} {_description(shown)}".rstrip(),
                facts=shown.facts,
                certificates=shown.certificates,
            )
        except Exception as error:
            explained = explain(error, call.clock.current, peer)
            if explained is None:
                raise
            error_class, message = explained
            return Observation(call.clock.stop(), error=error_class, message=message)

    def prepare(self, target: TlsTarget) -> None:
        """See Check.prepare."""
        load_tls()
        self._contexts.prepare(target.tls)

    async def aclose(self) -> None:
        """Nothing stays open between two observations."""

    async def _shaken(self, target: TlsTarget, tls: Tls, clock: PhaseClock) -> Observation:
        context = await self._contexts.get(tls)
        connection = await self._network.connect(target.host, target.port, clock, None, ip_version=target.ip_version)
        try:
            clock.enter("tls")
            await connection.start_tls(context, (target.server_name or target.host).rstrip("."))
            session = connection.tls
            certificates = certificates_of(session)
            facts = {
                "remote_address": connection.remote_address,
                **session_facts(session),
                **certificate_facts(certificates, datetime.now(UTC)),
            }
        except BaseException:
            connection.abort()
            raise
        connection.finish()
        error, message = _too_old(target, str(facts.get("tls_version")))
        return Observation(clock.stop(), error=error, message=message, facts=facts, certificates=certificates)

    async def _shown(self, target: TlsTarget) -> Observation | None:
        """What a target shows whose certificate was not accepted; None if it does not say it again, or elsewhere."""
        with suppress(OSError, ssl.SSLError, TargetDenied):
            async with asyncio.timeout(_PATIENCE):
                return await self._shaken(target, Tls(verify=False), PhaseClock())
        return None


def _too_old(target: TlsTarget, version: str) -> tuple[ErrorClass | None, str]:
    wanted = f"TLSv{target.minimum_version}"
    if version >= wanted:
        return None, ""
    peer = Peer(target.host, target.port, target.server_name or "")
    return ErrorClass.TLS_FAILURE, f"{peer} agreed on {version}, and at least {wanted} is wanted (minimum_version)."


def _description(shown: Observation) -> str:
    """Of the certificate: for whom, by whom, and from when to when."""
    certificate = first_of(shown.certificates)
    if certificate is None:
        return ""
    days = f"good from {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    return f"{_whom(certificate)}, issued by {printable(certificate.issuer)}, {days}."


def _whom(certificate: Certificate) -> str:
    if not certificate.names:
        return f"It names no host (its subject is {printable(certificate.subject)})"
    more = f" and {len(certificate.names) - 3} more" if len(certificate.names) > 3 else ""
    return f"It is for {printable(', '.join(certificate.names[:3]))}{more}"
