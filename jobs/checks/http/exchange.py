"""One observation of an HTTP target in progress: a request and its redirects.

Built by jobs.checks.kinds.http.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

import httpx

from jobs.checks.addresses import LIVE_PATH
from jobs.checks.binding.rules import UNRESTRICTED
from jobs.checks.body_memory import UNCOUNTED_BYTES
from jobs.checks.clock import Peer, peer_of_url
from jobs.checks.error_mapping import RequestRoute
from jobs.checks.errors import ClientCertificateUnusable, TooManyHeaderLines, TooManyRedirects
from jobs.checks.guard import Guard
from jobs.checks.http.credentials import check_bindings
from jobs.checks.http.requests import (
    CachedRequest,
    RequestDraft,
    may_reuse_connection,
    peer_at,
)
from jobs.checks.http.responses import MAX_COOKIES as MAX_COOKIES
from jobs.checks.http.responses import (
    CookieJar,
    ResponseBody,
    build_redirected_request,
    is_redirect,
    may_share_credentials,
    read_body,
)
from jobs.checks.http_transport.messages import MAX_HEADER_LINES, RequestOptions, TargetResponse
from jobs.checks.http_transport.transport import CheckTransport, Http1Exchange
from jobs.checks.net.network import Network
from jobs.checks.net.tls_contexts import HTTP1, HTTP2, TlsContexts, client_certificate_error
from jobs.checks.outbound import DIRECT, Outbound, ProxyEndpoint
from jobs.checks.port import AttemptContext
from jobs.formats import effective_port
from jobs.runs import ErrorClass
from jobs.targets import HttpTarget

_LIVE = LIVE_PATH.encode()

CompleteRequest = Callable[[HttpTarget, str, str], RequestDraft]
"""Builds the request of a target by the run's id and the trace header."""


class HttpExchange:
    """Sends the request of a target and follows its redirects."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        guard: Guard,
        contexts: TlsContexts,
        target: HttpTarget,
        call: AttemptContext,
        cookies: CookieJar | None = None,
        outbound: Outbound = DIRECT,
    ) -> None:
        self._client = client
        self._outbound = outbound
        self._guard = guard
        self._contexts = contexts
        self._target = target
        self._call = call
        self._cookies = cookies
        self._stores_all_cookies = cookies is not None
        self.bindings = UNRESTRICTED
        self.proxy: ProxyEndpoint | None = None
        """That of the job, see `resolve_proxy`."""
        self._used_proxy: ProxyEndpoint | None = None
        """Of the latest request."""
        self.trace_parent = ""
        self.client_certificate = ""
        """With its key, PEM."""
        self._lines = 0
        """Header lines of all responses."""
        self._cookie_lines = 0
        """Set-Cookie lines that were read, of all responses."""
        self._left_origin = False
        """Whether a redirect led to another origin, which receives nothing that came from a secret."""
        self.redirects = 0
        """How many were followed."""
        self.route = RequestRoute()
        self.status: int | None = None
        """Of the latest response."""

    @property
    def peer(self) -> Peer:
        """The peer of the latest request."""
        return self.route.peer or peer_of_url(self._target.url)

    async def run(
        self, first: RequestDraft | CachedRequest, complete: CompleteRequest
    ) -> tuple[RequestDraft | CachedRequest, TargetResponse, ResponseBody]:
        """Return the last request, the first response that is not an allowed redirect, and its body.

        `complete`: returns the draft of a cached request, from which another request can be derived.
        """
        sent, allowed = first, self._target.redirects
        while True:
            response = await self._send(sent, complete)
            self.status = response.status
            try:
                self._count_lines(response)
                if self._stores_all_cookies and isinstance(sent, RequestDraft):
                    await self._store_cookies(response, sent.url)
                if not allowed or not is_redirect(response):
                    return sent, response, await self._read_body(response)
                if self.redirects == allowed:
                    raise TooManyRedirects(allowed)
                if isinstance(sent, CachedRequest):
                    sent = complete(self._target, self._call.run_id, self.trace_parent)
                before, sent = sent, build_redirected_request(sent, response, self._call.values)
                self._drop_foreign_credentials(before.url, sent.url)
                self.redirects += 1
                await self._store_cookies(response, before.url)
            finally:
                await response.stream.aclose()

    async def _read_body(self, response: TargetResponse) -> ResponseBody:
        encoding = response.headers.get("content-encoding", "")
        limit = self._guard.cap_body_limit(self._target.read_limit)
        stream, clock = response.stream, self._call.clock
        if not encoding and isinstance(stream, Http1Exchange):
            content = stream.take_body(min(limit, UNCOUNTED_BYTES))
            if content is not None:
                clock.end_at_arrival()
                return ResponseBody(content, truncated=False)
        size = _announced_size(response, limit) if not encoding else limit
        body = await read_body(stream, encoding, limit, partial(self._reserve_body, size))
        clock.end_at_arrival()
        self._call.body_reservation.shrink(len(body.content))
        return body

    def _drop_foreign_credentials(self, before: httpx.URL, after: httpx.URL) -> None:
        """Drop the client certificate with everything else that came from a secret (see `build_redirected_request`).

        Raises:
            CredentialDenied: the same host continues at a port that the rules do not name.
        """
        if not may_share_credentials(before, after):
            self._left_origin, self.client_certificate = True, ""
        if not self._left_origin:
            check_bindings(self._target, after, self.bindings, self._call)

    async def _reserve_body(self, size: int) -> None:
        """Wait until a body of so many bytes may be held. Raises BodyMemoryExhausted."""
        room, clock = self._call.body_reservation, self._call.clock
        # If the attempt's deadline passes first:
        clock.verdict = ErrorClass.INTERNAL_ERROR, room.describe_exhaustion(size)
        await room.reserve(size)
        clock.verdict = None

    def _send(
        self, outgoing: RequestDraft | CachedRequest, complete: CompleteRequest
    ) -> Coroutine[Any, Any, TargetResponse]:
        if isinstance(outgoing, RequestDraft):
            return self._send_draft(outgoing)
        shared = outgoing.shared
        transport = _find_transport(self._client, shared.base_url)
        if transport is not None and (shared.scheme == "https" or self._find_proxy(shared.peer) is None):
            return self._send_cached(outgoing, transport)
        return self._send_draft(complete(self._target, self._call.run_id, self.trace_parent))

    async def _send_cached(self, prepared: CachedRequest, transport: CheckTransport) -> TargetResponse:
        """Send a request without httpx's objects, which take longer than the connection."""
        shared = prepared.shared
        options = self._prepare(shared.scheme, shared.peer, is_only_live=_is_only_live(prepared, prepared.path))
        if shared.scheme == "https":
            options.tls = await self._tls_context()
        data = prepared.encode(self._call.run_id, self.trace_parent)
        return await transport.send(prepared.method, data, shared.host, shared.peer.port, options)

    async def _send_draft(self, draft: RequestDraft) -> TargetResponse:
        url = draft.url
        peer = peer_at(self._target, url.host, effective_port(url.scheme, url.port))
        options = self._prepare(url.scheme, peer, is_only_live=_is_only_live(draft, url.raw_path))
        if url.scheme == "https":
            options.tls = await self._tls_context()
        request = draft.build(options)
        if self._cookies is not None:
            await self._cookies.add_to(request)
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        return TargetResponse.from_httpx(response)

    def _prepare(self, scheme: str, peer: Peer, *, is_only_live: bool) -> RequestOptions:
        """Return how to send the next request, to this peer. Raises TargetDenied."""
        target, clock = self._target, self._call.clock
        self.route.move_to(peer)
        clock.current_peer = peer
        self._guard.check_scheme(scheme, peer.host, peer.port)
        proxy = self._used_proxy = self._find_proxy(peer)
        is_pooled = may_reuse_connection(target) and proxy is None
        return RequestOptions(
            clock,
            server_name=peer.server_name if scheme == "https" else "",
            ip_version=target.ip_version,
            is_pooled=is_pooled,
            http2=target.http2,
            only_live=is_only_live and proxy is None and not (target.http2 or is_pooled),
            proxy=proxy,
            on_peer_change=self._on_peer_change,
        )

    def _find_proxy(self, peer: Peer) -> ProxyEndpoint | None:
        return self._outbound.choose_proxy(self.proxy, peer.host, peer.port)

    def _count_lines(self, response: TargetResponse) -> None:
        """Count header lines. Raises TooManyHeaderLines."""
        self._lines += len(response.fields)
        if self._lines > MAX_HEADER_LINES:
            raise TooManyHeaderLines(response.status, MAX_HEADER_LINES, redirected=True)

    async def _tls_context(self) -> ssl.SSLContext:
        target, shown = self._target, self.client_certificate
        try:
            return await self._contexts.get_context(
                target.tls, alpn=HTTP2 if target.http2 else HTTP1, client_certificate=shown
            )
        except ClientCertificateUnusable:
            raise client_certificate_error(target.tls) from None

    def _on_peer_change(self, host: str, port: int) -> None:
        """Called by the transport: what follows is about this peer, the proxy first."""
        proxy = self._used_proxy
        assert proxy is not None
        self.route.proxy = Peer(proxy.host, proxy.port)
        self.route.peer = self._call.clock.current_peer = peer_at(self._target, host, port)

    async def _store_cookies(self, response: TargetResponse, url: httpx.URL) -> None:
        """Store cookies: some pages redirect in a loop until the client returns one."""
        if "set-cookie" in response.headers:
            if self._cookies is None:
                self._cookies = CookieJar()
            most = MAX_COOKIES - self._cookie_lines
            self._cookie_lines += await self._cookies.store_from(response.fields, str(url), most)


def _is_only_live(outgoing: RequestDraft | CachedRequest, path: bytes) -> bool:
    """Return whether it requests LIVE_PATH without a body. A connection for it must not serve another request."""
    return path == _LIVE and outgoing.method in ("GET", "HEAD") and not outgoing.content


class StatelessClient(httpx.AsyncClient):
    """An httpx client that sends a request and nothing else."""

    def __init__(self, guard: Guard) -> None:
        # The runner enforces deadlines; a proxy of the environment would hide where a connection fails.
        super().__init__(transport=CheckTransport(Network(guard)), trust_env=False, timeout=None)

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """Send without httpx's cookies, hooks, auth flows and log record.

        httpx also builds the request of a redirect, which fails for URLs that are not http.
        """
        # perf: run-cost, 16 % of a run (decision 27)
        response = await self._transport_for_url(request.url).handle_async_request(request)
        response.request = request
        return response

    def find_own_transport(self, url: httpx.URL) -> CheckTransport | None:
        """Return the transport that sends to this URL; None while a mock of httpx replaces it."""
        transport = self._transport_for_url(url)
        return transport if isinstance(transport, CheckTransport) else None


def _find_transport(client: httpx.AsyncClient, url: httpx.URL) -> CheckTransport | None:
    return client.find_own_transport(url) if isinstance(client, StatelessClient) else None


def _announced_size(response: TargetResponse, limit: int) -> int:
    """Return how many bytes of the body will be read at most."""
    length = response.headers.get("content-length", "")
    return min(int(length), limit) if length.isascii() and length.isdigit() else limit
