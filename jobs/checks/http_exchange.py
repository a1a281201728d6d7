"""One observation of an HTTP target while it happens: a request and those that it is redirected to. Made by http.py."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any

import httpx

from jobs.checks.binding.rules import ANYTHING
from jobs.checks.bodies import Body, read_body
from jobs.checks.cookies import MOST as MOST_COOKIES
from jobs.checks.cookies import Cookies
from jobs.checks.errors import ClientCertificateUnusable, TooManyHeaderLines, TooManyRedirects
from jobs.checks.fetching import check_bindings
from jobs.checks.guard import Guard
from jobs.checks.http1 import MOST_LINES
from jobs.checks.network import Network
from jobs.checks.own_places import LIVE_PATH
from jobs.checks.peer import Peer, peer_of
from jobs.checks.port import Call
from jobs.checks.prepared import Prepared
from jobs.checks.redirects import follow, headers_of, is_redirect, may_see_credentials
from jobs.checks.requests import Outgoing, may_be_kept
from jobs.checks.tls_contexts import TlsContexts, unusable_certificate
from jobs.checks.transport import Transport
from jobs.checks.tunnels import Proxy
from jobs.checks.ways import Way
from jobs.runs import ErrorClass
from jobs.targets import HttpTarget
from jobs.urls import effective_port

_LIVE = LIVE_PATH.encode()


class _Visit:
    """One observation while it happens: the request, and the ones that it is redirected to."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        guard: Guard,
        contexts: TlsContexts,
        target: HttpTarget,
        call: Call,
        cookies: Cookies | None = None,
    ) -> None:
        self._client = client
        self._guard = guard
        self._contexts = contexts
        self._target = target
        self._call = call
        self._cookies = cookies
        self._keeps_all = cookies is not None
        self.bindings = ANYTHING
        self.proxy: Proxy | None = None
        self.trace_parent = ""
        self.client_certificate = ""
        """With its key, PEM."""
        self._lines = 0
        """Of the headers of all answers."""
        self._cookie_lines = 0
        """How many of them were read, of all answers."""
        self._has_left = False
        """Whether a redirect has led to another origin, which gets nothing that came from a secret."""
        self.redirects = 0
        """How many were followed."""
        self.way = Way()
        self.status: int | None = None
        """The latest answer's."""

    @property
    def peer(self) -> Peer:
        """Whom the latest request was for."""
        return self.way.peer or peer_of(self._target.url)

    async def go(self, first: Outgoing | Prepared, whole: Callable[[], Outgoing]) -> tuple[httpx.Response, Body]:
        """The answer that is none of the redirects that the target allows, and its body.

        `whole`: what was prepared, as a request that another one can be made of.
        """
        sent, allowed = first, self._target.redirects
        while True:
            response = await self._send(sent)
            try:
                if self._keeps_all:
                    await self._keep_cookies(response)
                if not allowed or not is_redirect(response):
                    encoding = headers_of(response).get("content-encoding", "")
                    limit = self._guard.body_limit(self._target.read_limit)
                    size = _announced_size(response, limit) if not encoding else limit
                    body = await read_body(_parts(response), encoding, limit, partial(self._make_room, size))
                    self._call.room.shrink(len(body.content))
                    return response, body
                if self.redirects == allowed:
                    raise TooManyRedirects(allowed)
                before = whole() if isinstance(sent, Prepared) else sent
                sent = follow(before, response, self._call.values)
                self._keep_to_origin(before.url, sent.url)
                self.redirects += 1
                await self._keep_cookies(response)
            finally:
                await response.aclose()

    def _keep_to_origin(self, before: httpx.URL, after: httpx.URL) -> None:
        """Leave the client certificate behind with everything else that came from a secret (see `follow`).

        Raises:
            CredentialDenied: the same host goes on at a port that the rules do not name.
        """
        if not may_see_credentials(before, after):
            self._has_left, self.client_certificate = True, ""
        if not self._has_left:
            check_bindings(self._target, after, self.bindings, self._call)

    async def _make_room(self, size: int) -> None:
        """Wait until a body of so many bytes may be held. Raises BodyMemoryExhausted."""
        room, clock = self._call.room, self._call.clock
        clock.found = ErrorClass.INTERNAL_ERROR, room.exhausted(size)  # should the attempt's time be over before
        await room.reserve(size)
        clock.found = None

    async def _send(self, outgoing: Outgoing | Prepared) -> httpx.Response:
        url = outgoing.place
        secure = url.scheme == "https"
        peer = self._peer_at(url.host, effective_port(url.scheme, url.port))
        self.way.leads_to(peer)
        self._call.clock.asked = peer
        self._guard.check_scheme(url.scheme, peer.host, peer.port)
        extensions: dict[str, Any] = {"clock": self._call.clock, "timeout": {}}
        if secure:
            extensions["tls"] = await self._context()
            if peer.server_name:
                extensions["server_name"] = peer.server_name
        if may_be_kept(self._target):
            extensions["kept"] = True
        if self._target.http2:
            extensions["http2"] = True
        if self._target.ip_version is not None:
            extensions["ip_version"] = self._target.ip_version
        if self.proxy is not None:
            extensions["proxy"], extensions["asks"] = self.proxy, self._asks
        elif _is_only_live(outgoing) and not (self._target.http2 or may_be_kept(self._target)):
            extensions["only_live"] = True
        request = outgoing.request(self._call.run_id, self.trace_parent, extensions)
        if self._cookies is not None:
            self._cookies.set_cookie_header(request)
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        self.status = response.status_code
        await self._count_lines(response)
        return response

    async def _count_lines(self, response: httpx.Response) -> None:
        """Raises TooManyHeaderLines."""
        self._lines += response.extensions.get("lines", 0)
        if self._lines > MOST_LINES:
            await response.aclose()
            raise TooManyHeaderLines(response.status_code, MOST_LINES, redirected=True)

    async def _context(self) -> ssl.SSLContext:
        target, shown = self._target, self.client_certificate
        try:
            return await self._contexts.get(target.tls, http2=target.http2, client_certificate=shown)
        except ClientCertificateUnusable:
            raise unusable_certificate(target.tls) from None

    def _peer_at(self, host: str, port: int) -> Peer:
        """The job's name for TLS belongs to the place that it asks, not to one that this redirects to."""
        name = self._target.server_name
        return Peer(host, port, name) if name and Peer(host, port) == peer_of(self._target.url) else Peer(host, port)

    def _asks(self, host: str, port: int) -> None:
        """Told by the transport: what follows is about this one, the proxy first."""
        assert self.proxy is not None
        self.way.proxy = Peer(self.proxy.host, self.proxy.port)
        self.way.peer = self._call.clock.asked = self._peer_at(host, port)

    async def _keep_cookies(self, response: httpx.Response) -> None:
        """Some pages send their visitors in a circle until these bring the cookie along."""
        if "set-cookie" in headers_of(response):
            if self._cookies is None:
                self._cookies = Cookies()
            self._cookie_lines += await self._cookies.read_from(response, MOST_COOKIES - self._cookie_lines)


def _is_only_live(outgoing: Outgoing | Prepared) -> bool:
    """Whether it asks for LIVE_PATH and does nothing else. A connection for it must not serve another request."""
    path = outgoing.path if isinstance(outgoing, Prepared) else outgoing.url.raw_path
    return path == _LIVE and outgoing.method in ("GET", "HEAD") and not outgoing.content


class _NoCookies(httpx.Cookies):
    """Keeps nothing: one run must not know the cookies of another."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Ignore them."""


class _Client(httpx.AsyncClient):
    """An httpx client without memory, that sends a request and does nothing besides."""

    cookies: Any = _NoCookies()
    """In the place of httpx's property, which keeps every cookie for every later request."""

    def __init__(self, guard: Guard) -> None:
        # Deadlines are the runner's; a proxy of the environment would hide where a connection fails.
        super().__init__(transport=Transport(Network(guard)), trust_env=False, timeout=None)

    async def send(self, request: httpx.Request, **_: Any) -> httpx.Response:
        """httpx's own costs as much as the connection: hooks, auth flows, a log record. It also makes up the next
        request of a redirect, which fails for places that are no http URLs."""
        place: httpx.URL = request.extensions.get("place") or request.url
        response = await self._transport_for_url(place).handle_async_request(request)
        response.request = request
        return response


def _parts(response: httpx.Response) -> httpx.AsyncByteStream:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream


def _announced_size(response: httpx.Response, limit: int) -> int:
    """Return how many bytes of the body will be read at most."""
    length = headers_of(response).get("content-length", "")
    return min(int(length), limit) if length.isascii() and length.isdigit() else limit
