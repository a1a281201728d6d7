"""The check of a TLS target: a handshake, and what the server shows in it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime

from jobs.certificates import Certificate
from jobs.checks.clock import Peer, PhaseClock
from jobs.checks.dependencies import CheckDependencies
from jobs.checks.error_mapping import classify_error
from jobs.checks.errors import TargetDenied
from jobs.checks.net.network import (
    Network,
    certificate_facts,
    read_first_certificate,
    session_facts,
    shown_certificates,
)
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.checks.port import AttemptContext, Check, preload_tls
from jobs.problems import make_printable
from jobs.runs import ErrorClass, Observation
from jobs.targets.http import TlsOptions
from jobs.targets.tls import TlsTarget

_SECOND_HANDSHAKE_TIMEOUT = 2.0
"""Seconds for the second handshake, which only adds details to the result of the first."""


def build(dependencies: CheckDependencies, checks: Mapping[str, Check]) -> TlsCheck:
    """Build the check. Called by jobs.checks."""
    return TlsCheck(dependencies.network, dependencies.contexts)


class TlsCheck:
    """Observes TLS targets, for one event loop. The owner of the network and the contexts closes them."""

    def __init__(self, network: Network, contexts: TlsContexts) -> None:
        self._network = network
        self._contexts = contexts

    async def observe(self, target: TlsTarget, call: AttemptContext) -> Observation:
        """Perform a handshake; a second one describes a certificate that is not accepted."""
        peer = Peer(target.host, target.port, target.server_name or "")
        try:
            return await self._handshake(target, target.tls, call.clock)
        except ssl.SSLCertVerificationError as error:
            error_class, message = classify_error(error, "tls", peer) or (ErrorClass.TLS_CERTIFICATE, f"{error}")
            call.clock.verdict = error_class, message
            shown = await self._inspect_rejected(target)
            phases = call.clock.stop()
            if shown is None:
                return Observation(phases, error=error_class, message=message)
            return Observation(
                phases,
                error=error_class,
                message=f"{message} {_describe_certificate(shown)}".rstrip(),
                facts=shown.facts,
                certificates=shown.certificates,
            )
        except Exception as error:
            explained = classify_error(error, call.clock.current, peer)
            if explained is None:
                raise
            error_class, message = explained
            return Observation(call.clock.stop(), error=error_class, message=message)

    def prepare(self, target: TlsTarget) -> None:
        preload_tls()
        self._contexts.prepare(target.tls)

    async def aclose(self) -> None:
        """Nothing stays open between two observations."""

    async def _handshake(self, target: TlsTarget, tls: TlsOptions, clock: PhaseClock) -> Observation:
        context = await self._contexts.get_context(tls)
        connection = await self._network.connect(target.host, target.port, clock, None, ip_version=target.ip_version)
        try:
            clock.enter("tls")
            await connection.start_tls(context, (target.server_name or target.host).rstrip("."))
            session = connection.tls
            certificates = shown_certificates(session)
            facts = {
                "remote_address": connection.remote_address,
                **session_facts(session),
                **certificate_facts(certificates, datetime.now(UTC)),
            }
        except BaseException:
            connection.abort()
            raise
        connection.close()
        error, message = _version_error(target, str(facts.get("tls_version")))
        return Observation(clock.stop(), error=error, message=message, facts=facts, certificates=certificates)

    async def _inspect_rejected(self, target: TlsTarget) -> Observation | None:
        """Return what a target shows whose certificate was not accepted; None if the second handshake fails."""
        with suppress(OSError, ssl.SSLError, TargetDenied):
            async with asyncio.timeout(_SECOND_HANDSHAKE_TIMEOUT):
                return await self._handshake(target, TlsOptions(verify=False), PhaseClock())
        return None


def _version_error(target: TlsTarget, version: str) -> tuple[ErrorClass | None, str]:
    required = f"TLSv{target.minimum_version}"
    if version >= required:
        return None, ""
    peer = Peer(target.host, target.port, target.server_name or "")
    return ErrorClass.TLS_FAILURE, f"{peer} agreed on {version}, at least {required} is required (minimum_version)."


def _describe_certificate(shown: Observation) -> str:
    """Return subject, issuer and validity of the certificate."""
    certificate = read_first_certificate(shown.certificates)
    if certificate is None:
        return ""
    days = f"valid from {certificate.not_before:%Y-%m-%d} to {certificate.not_after:%Y-%m-%d}"
    return f"{_describe_names(certificate)}, issued by {make_printable(certificate.issuer)}, {days}."


def _describe_names(certificate: Certificate) -> str:
    if not certificate.names:
        return f"It names no host (its subject is {make_printable(certificate.subject)})"
    more = f" and {len(certificate.names) - 3} more" if len(certificate.names) > 3 else ""
    return f"It is for {make_printable(', '.join(certificate.names[:3]))}{more}"
