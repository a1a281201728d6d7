"""The check of an HTTP target: one request, its redirects, and what came of it. Made by jobs.checks.

One httpx client a process, over a transport of our own; TLS contexts are shared, connections are not.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import httpx

from jobs.checks.bodies import Body, read_body
from jobs.checks.credentials import credentials_of
from jobs.checks.fault_sentences import Peer
from jobs.checks.faults import TooManyRedirects, explain
from jobs.checks.guard import LOCAL, Guard, TargetDenied
from jobs.checks.network import Network
from jobs.checks.port import Call
from jobs.checks.redirects import follow, is_redirect
from jobs.checks.requests import Outgoing, build
from jobs.checks.retry_after import retry_after_s
from jobs.checks.tls_contexts import TlsContexts
from jobs.checks.transport import FreshConnections
from jobs.ports import Secrets, Tokens
from jobs.redaction import Redactor
from jobs.runs import Observation
from jobs.targets import HttpTarget

USER_AGENT = "scheduler"


class HttpCheck:
    """Observes HTTP targets, for one event loop."""

    def __init__(
        self,
        secrets: Secrets,
        tokens: Tokens,
        redactor: Redactor,
        *,
        user_agent: str = USER_AGENT,
        guard: Guard = LOCAL,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        """`guard`: where targets may be. `client`: another one for tests; it is closed with this check."""
        self._secrets = secrets
        self._tokens = tokens
        self._redactor = redactor
        self._user_agent = user_agent
        self._contexts = TlsContexts()
        self._guard = guard
        self._client = client or _Client(guard)

    async def observe(self, target: HttpTarget, call: Call) -> Observation:
        """Ask the target once; its errors come back in the observation. Raises only what is a mistake of ours."""
        visit = _Visit(self._client, self._guard, self._contexts, target, call)
        try:
            credentials = await credentials_of(target, self._secrets, self._tokens, self._redactor, call)
            first = build(target, credentials, call.run_id, self._user_agent, self._redactor)
            response, body = await visit.go(first)
        except Exception as error:
            explained = explain(error, call.clock.current, visit.peer)
            if explained is None:
                raise
            error_class, message = explained
            return Observation(
                call.clock.stop(), visit.status, error=error_class, message=self._redactor.redact(message)
            )
        phases = call.clock.stop()
        headers = _headers(response)
        return Observation(
            phases,
            response.status_code,
            response.reason_phrase,
            headers,
            body.content,
            body.truncated,
            retry_after_s=retry_after_s(response.status_code, headers, datetime.now(UTC)),
        )

    async def aclose(self) -> None:
        await self._client.aclose()


class _Visit:
    """One observation while it happens: the request, and the ones that it is redirected to."""

    def __init__(
        self, client: httpx.AsyncClient, guard: Guard, contexts: TlsContexts, target: HttpTarget, call: Call
    ) -> None:
        self._client = client
        self._guard = guard
        self._contexts = contexts
        self._target = target
        self._call = call
        self._cookies: httpx.Cookies | None = None
        self.peer = _peer(target.url)
        """Whom the latest request was for."""
        self.status: int | None = None
        """The latest answer's."""

    async def go(self, outgoing: Outgoing) -> tuple[httpx.Response, Body]:
        """The answer that is none of the redirects that the target allows, and its body."""
        followed = 0
        while True:
            response = await self._hop(outgoing, self.peer if followed else None)
            try:
                if not self._target.redirects or not is_redirect(response):
                    encoding = response.headers.get("content-encoding", "")
                    limit = self._guard.body_limit(self._target.read_limit)
                    return response, await read_body(_parts(response), encoding, limit)
                if followed == self._target.redirects:
                    raise TooManyRedirects(followed)
                outgoing, followed = follow(outgoing, response), followed + 1
                self._keep_cookies(response)
            finally:
                await response.aclose()

    async def _hop(self, outgoing: Outgoing, redirected_by: Peer | None) -> httpx.Response:
        try:
            return await self._send(outgoing)
        except TargetDenied as denied:
            if redirected_by is None:
                raise
            raise TargetDenied(f"{denied} {redirected_by} redirects there.") from None

    async def _send(self, outgoing: Outgoing) -> httpx.Response:
        url = outgoing.url
        self.peer = Peer(url.host, url.port or (443 if url.scheme == "https" else 80))
        self._guard.check_scheme(url.scheme, self.peer.host, self.peer.port)
        extensions: dict[str, Any] = {"clock": self._call.clock, "timeout": {}}
        if url.scheme == "https":
            extensions["tls"] = await self._contexts.get(self._target.tls)
        request = outgoing.request(extensions)
        if self._cookies is not None:
            self._cookies.set_cookie_header(request)
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        _show_location(response)
        self.status = response.status_code
        return response

    def _keep_cookies(self, response: httpx.Response) -> None:
        """Some pages send their visitors in a circle until these bring the cookie along."""
        if "set-cookie" in response.headers:
            if self._cookies is None:
                self._cookies = httpx.Cookies()
            self._cookies.extract_cookies(response)


class _NoCookies(httpx.Cookies):
    """Keeps nothing: one run must not know the cookies of another."""

    def extract_cookies(self, response: httpx.Response) -> None:
        """Ignore them."""


class _Client(httpx.AsyncClient):
    """An httpx client without memory."""

    cookies: Any = _NoCookies()
    """In the place of httpx's property, which keeps every cookie for every later request."""

    def __init__(self, guard: Guard) -> None:
        # Deadlines are the runner's; a proxy of the environment would hide where a connection fails.
        super().__init__(
            transport=FreshConnections(Network(guard)),
            trust_env=False,
            timeout=None,
            event_hooks={"response": [_hide_location]},
        )


async def _hide_location(response: httpx.Response) -> None:
    """Keep httpx from making up the next request itself, which fails for places that are no http URLs."""
    if "location" in response.headers:
        response.extensions["location"] = response.headers.pop("location")


def _show_location(response: httpx.Response) -> None:
    if "location" in response.extensions:
        response.headers["location"] = response.extensions["location"]


def _parts(response: httpx.Response) -> httpx.AsyncByteStream:
    assert isinstance(response.stream, httpx.AsyncByteStream)
    return response.stream


def _peer(url: str) -> Peer:
    parts = urlsplit(url)
    return Peer(parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))


def _headers(response: httpx.Response) -> dict[str, str]:
    """Names in lower case, repeated ones joined. httpx does the same ten times slower."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in response.headers.raw:
        name, value = raw_name.decode("latin-1").lower(), _text(raw_value)
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
