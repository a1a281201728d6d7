"""Tokens of token endpoints for a client's id and secret (RFC 6749, section 4.4), kept until shortly before their end.

Made by http.py, called by fetching.py. The request goes over the check's own client, and so through its guard.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from urllib.parse import quote_plus, urlencode

import httpx

from jobs.auth import OAuth2Auth
from jobs.checks.bodies import ACCEPTED, read_body
from jobs.checks.clock import PhaseClock
from jobs.checks.credentials import basic
from jobs.checks.errors import ClientCertificateUnusable, ClientRejected, TokenResponseError
from jobs.checks.faults import explain
from jobs.checks.guard import Guard
from jobs.checks.oauth_answers import Token, read_token
from jobs.checks.peer import Peer, peer_of
from jobs.checks.requests import parsed
from jobs.checks.tls_contexts import TlsContexts, unusable_certificate
from jobs.checks.tunnels import Proxy
from jobs.errors import TokenUnavailable
from jobs.kept_values import Fetched, KeptValues
from jobs.ports import Clock, Renewal
from jobs.redaction import Redactor
from jobs.redaction.holding import LONG_VALUE, CurrentValues
from jobs.targets import Tls

LONGEST_FETCH = 20.0
"""Seconds for one token."""

LARGEST_ANSWER = 64 * 1024
"""Bytes."""

MOST_KEPT = 1000
"""Tokens. More push out those that were used longest ago, such as those of a secret that was rotated."""

_RENEWED_BEFORE, _USED_UNTIL = 0.2, 0.05
"""The share of its life that a token has left when it is renewed; and until when it is used if that fails."""

_MOST_RENEWED_BEFORE, _MOST_USED_UNTIL = 300.0, 30.0
"""Seconds: the same, of a token that lives for long."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token is asked with, and by which way: that to the target. Equal ones share a token."""

    auth: OAuth2Auth
    client_id: str = field(repr=False)
    secret: str = field(repr=False)
    tls: Tls
    client_certificate: str = field(default="", repr=False)
    """With its key, PEM."""
    proxy: Proxy | None = field(default=None, repr=False)

    @property
    def endpoint(self) -> str:
        """For texts: without the query."""
        return self.auth.token_url.partition("?")[0]

    @property
    def key(self) -> str:
        """Tells it from others, without a secret in it."""
        auth, proxy = self.auth, self.proxy
        asked = [auth.token_url, self.client_id, self.secret, auth.scope, auth.audience, auth.style]
        way = [self.tls.verify, self.tls.ca_file, self.client_certificate, proxy and (proxy.host, proxy.port)]
        return hashlib.sha256(json.dumps(asked + way).encode()).hexdigest()

    def form(self) -> dict[str, str]:
        """The body of the token request."""
        form = {"grant_type": "client_credentials"}
        if self.auth.style == "body":
            form |= {"client_id": self.client_id, "client_secret": self.secret}
        wanted = (("scope", self.auth.scope), ("audience", self.auth.audience))
        return form | {name: value for name, value in wanted if value is not None}


class OAuthTokens:
    """For one event loop. The client, the guard and the contexts are shared, and closed by their owner."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        guard: Guard,
        contexts: TlsContexts,
        redactor: Redactor,
        derived: CurrentValues,
        user_agent: str,
        clock: Clock | None = None,
    ) -> None:
        self._client = client
        self._guard = guard
        self._contexts = contexts
        self._derived = derived
        self._in_use = CurrentValues(redactor)
        self._user_agent = user_agent
        self._grants: OrderedDict[str, Grant] = OrderedDict()
        self._kept = KeptValues(self._fetch, clock or _SystemTime())

    async def get(self, grant: Grant) -> str:
        """A token; one request for all who ask at the same time. Raises TokenUnavailable, ClientRejected."""
        return await self._kept.get(self._noted(grant))

    async def renewed(self, grant: Grant, refused: str) -> Renewal:
        """Whether there is another token by now than the one that a target refused: asks for one, if not lately."""
        key = self._noted(grant)
        if await self._kept.another_than(key, refused):
            return Renewal(changed=True, sentence=f"another access token from {grant.endpoint} was got")
        at = self._kept.read_at(key)
        got = f"the one got at {at:%Y-%m-%d %H:%M:%S}Z" if at is not None else "none"
        return Renewal(changed=False, sentence=f"the access token from {grant.endpoint} is still {got}")

    async def aclose(self) -> None:
        """End what is being fetched."""
        await self._kept.aclose()

    def _noted(self, grant: Grant) -> str:
        key = grant.key
        self._grants[key] = grant
        self._grants.move_to_end(key)
        if len(self._grants) > MOST_KEPT and self._kept.forget(oldest := next(iter(self._grants))):
            del self._grants[oldest]
            self._in_use.drop(oldest)
        return key

    async def _fetch(self, key: str) -> Fetched:
        grant = self._grants[key]
        token = await self._asked_in_time(grant)
        await self._register(key, token.value)
        before = min(_RENEWED_BEFORE * token.lives, _MOST_RENEWED_BEFORE)
        until = min(_USED_UNTIL * token.lives, _MOST_USED_UNTIL)
        return Fetched(token.value, token.lives - before, token.lives - until)

    async def _register(self, key: str, token: str) -> None:
        """In the place of the token that this one renews."""
        if len(token) > LONG_VALUE:
            await asyncio.to_thread(self._in_use.set, key, token)
        else:
            self._in_use.set(key, token)

    async def _asked_in_time(self, grant: Grant) -> Token:
        # A clock of its own: the attempts that wait for the token, each in the phase `token`, may be many, or gone.
        clock, limit, asked = PhaseClock(), asyncio.timeout(LONGEST_FETCH), _Asked(peer_of(grant.auth.token_url))
        try:
            async with limit:
                return await self._ask(grant, clock, asked)
        except TokenResponseError as error:
            kind = ClientRejected if error.is_client_rejected else TokenUnavailable
            raise kind(_sentence(grant, str(error))) from None
        except ClientCertificateUnusable:
            raise unusable_certificate(grant.tls) from None
        except Exception as error:
            if limit.expired():
                reason = f"no answer within {LONGEST_FETCH:g} s"
                raise TokenUnavailable(_sentence(grant, reason)) from None
            explained = explain(error, clock.current, asked.peer)
            if explained is None:
                raise
            raise TokenUnavailable(_sentence(grant, explained[1])) from None

    async def _ask(self, grant: Grant, clock: PhaseClock, asked: _Asked) -> Token:
        request = self._request(grant)
        secure = request.url.scheme == "https"
        self._guard.check_scheme(request.url.scheme, asked.peer.host, asked.peer.port)
        request.extensions = {"clock": clock, "timeout": {}}
        if secure:
            context = await self._contexts.get(grant.tls, client_certificate=grant.client_certificate)
            request.extensions["tls"] = context
        if grant.proxy is not None:
            request.extensions |= {"proxy": grant.proxy, "asks": asked}
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        try:
            assert isinstance(response.stream, httpx.AsyncByteStream)
            encoding = response.headers.get("content-encoding", "")
            body = await read_body(response.stream, encoding, LARGEST_ANSWER)
        finally:
            await response.aclose()
        if body.truncated:
            raise TokenResponseError(f"its answer has more than {LARGEST_ANSWER // 1024} KiB: look at token_url")
        return read_token(response.status_code, body.content)

    def _request(self, grant: Grant) -> httpx.Request:
        headers = {
            "User-Agent": self._user_agent,
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED,
            "Connection": "close",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        if grant.auth.style == "header":
            # Each of the two URL-encoded first (RFC 6749, section 2.3.1): an id may have a colon in it.
            headers["Authorization"] = basic(quote_plus(grant.client_id), quote_plus(grant.secret), self._derived)
        url = parsed(grant.auth.token_url)
        return httpx.Request("POST", url, headers=headers, content=urlencode(grant.form()).encode())


class _Asked:
    """Whom the latest part of a token request was for: a proxy, or the endpoint."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def __call__(self, host: str, port: int) -> None:
        self.peer = Peer(host, port)


def _sentence(grant: Grant, reason: str) -> str:
    return f"No access token from {grant.endpoint}: {reason}"


class _SystemTime:
    """As the runner's, which stands above the checks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
