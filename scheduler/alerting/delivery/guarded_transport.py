"""The transport of the channels' HTTP client: that of the checks, with the guard, TLS and parser of theirs.

Used by scheduler.alerting.delivery.channel_resources. Each request has a separate connection.
"""

from __future__ import annotations

import httpx

from jobs.checks.clock import PhaseClock
from jobs.checks.guard import Guard
from jobs.checks.http_transport.messages import RequestOptions
from jobs.checks.http_transport.transport import CheckTransport
from jobs.checks.net.network import Network
from jobs.checks.net.tls_contexts import TlsContexts
from jobs.formats import effective_port
from jobs.targets import TlsOptions


class GuardedTransport(httpx.AsyncBaseTransport):
    """Raises what CheckTransport raises, and TargetDenied for a scheme that is not allowed."""

    def __init__(self, guard: Guard, network: Network) -> None:
        self._guard = guard
        self._transport = CheckTransport(network)
        self._contexts = TlsContexts()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        url = request.url
        self._guard.check_scheme(url.scheme, url.host, effective_port(url.scheme, url.port))
        tls = await self._contexts.get_context(TlsOptions()) if url.scheme == "https" else None
        request.extensions = {**request.extensions, **RequestOptions(PhaseClock(), tls).as_extensions()}
        return await self._transport.handle_async_request(request)

    async def aclose(self) -> None:
        await self._transport.aclose()
