"""The transport of the channels' HTTP client: that of the checks, with the guard, TLS and parser of theirs.

Used by scheduler.alerting.delivery.channel_resources. Each request has a separate connection.
"""

from __future__ import annotations

import httpx

from jobs.checks.clock import Peer, PhaseClock
from jobs.checks.error_mapping import PROXY_NOTE, classify_error, is_about_proxy
from jobs.checks.guard import Guard
from jobs.checks.http_transport.messages import RequestOptions
from jobs.checks.http_transport.transport import CheckTransport
from jobs.checks.net.network import Network
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.checks.outbound import DIRECT, Outbound
from jobs.formats import effective_port
from jobs.targets import TlsOptions


class GuardedTransport(httpx.AsyncBaseTransport):
    """Raises what CheckTransport raises, and TargetDenied for a scheme that is not allowed."""

    def __init__(self, guard: Guard, network: Network, outbound: Outbound = DIRECT) -> None:
        self._guard = guard
        self._outbound = outbound
        self._transport = CheckTransport(network)
        self._contexts = TlsContexts(authorities=outbound.authorities)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        port = effective_port(url.scheme, url.port)
        self._guard.check_scheme(url.scheme, url.host, port)
        tls = await self._contexts.get_context(TlsOptions()) if url.scheme == "https" else None
        proxy, clock = self._outbound.find_proxy(url.host, port), PhaseClock()
        peers = [Peer(url.host, port)]
        options = RequestOptions(clock, tls, proxy=proxy, on_peer_change=lambda *peer: peers.append(Peer(*peer)))
        request.extensions = {**request.extensions, **options.as_extensions()}
        try:
            return await self._transport.handle_async_request(request)
        except Exception as error:
            if proxy is None or peers[-1] != Peer(proxy.host, proxy.port):
                raise
            explained = classify_error(error, clock.current, peers[-1])
            text = explained[1] if explained else str(error)
            raise httpx.ProxyError(text if is_about_proxy(text) else f"{text} {PROXY_NOTE}") from None

    async def aclose(self) -> None:
        await self._transport.aclose()
