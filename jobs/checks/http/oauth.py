"""Cache access tokens of token endpoints for a client's id and secret (RFC 6749, section 4.4) until shortly before they
expire.

Built by jobs.checks.kinds.http, called by credential_loading.py. Requests use the check's own client, and so its guard.
The `error_description` of a response is never repeated: it is free text, and some endpoints quote the request in it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import re
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus, urlencode

import httpx

from jobs.checks.clock import Peer, PhaseClock, peer_of_url
from jobs.checks.error_mapping import classify_error
from jobs.checks.errors import ClientCertificateUnusable, ClientRejected, TokenResponseError
from jobs.checks.guard import Guard
from jobs.checks.http.requests import ACCEPTED_ENCODINGS, basic_authorization, parse_url
from jobs.checks.http.responses import read_body
from jobs.checks.http_transport.messages import RequestOptions
from jobs.checks.net.tls_contexts import TlsContexts, client_certificate_error
from jobs.checks.outbound import DIRECT, Outbound, ProxyEndpoint
from jobs.errors import TokenUnavailable
from jobs.formats import format_instant
from jobs.ports import Clock, CredentialRefresh
from jobs.redaction import Redactor
from jobs.redaction.value_holders import LONG_SECRET, CurrentSecrets
from jobs.refreshing_cache import FetchedValue, RefreshingCache
from jobs.targets import TlsOptions
from jobs.targets.http import OAuth2Auth
from jobs.trace_ids import TRACE_HEADER

DEFAULT_TOKEN_LIFETIME = 300.0
"""Seconds for which a token without `expires_in` is used."""

MAX_TOKEN_LIFETIME = 24 * 3600.0
"""Seconds for which any token is used at most."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
_CODE = re.compile(r"[a-z]{1,30}(_[a-z]{1,30}){0,4}")
_ENTRA_CODE = re.compile(r"\bAADSTS[0-9]{4,8}\b")

_HINTS = {
    "invalid_client": "it does not know the client, or not with this secret: check client_id and client_secret",
    "invalid_grant": "check that the client may use client credentials",
    "invalid_request": "the request lacks a parameter: check scope, audience and style",
    "invalid_scope": "check scope, and the permissions of the client",
    "invalid_target": "check audience",
    "access_denied": "check audience, and the permissions of the client",
    "unauthorized_client": "the client is not allowed to use client credentials: allow that grant",
    "unsupported_grant_type": "it issues no tokens for client credentials: check token_url",
}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`lifetime_s`: seconds from now."""

    value: str
    lifetime_s: float


def parse_token_response(status: int, body: bytes) -> AccessToken:
    """Return the token of a response. Raises TokenResponseError."""
    document = _parse_object(body)
    if status != 200:
        raise _response_error(status, document)
    if document is None:
        raise TokenResponseError("it answered 200 with something that is not a JSON object: check token_url")
    # Some endpoints answer 200 with an error, too.
    if "access_token" not in document and "error" in document:
        raise _response_error(status, document)
    value = document.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise TokenResponseError("it answered 200 without an access_token that a header can carry")
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenResponseError(f"its token is of {_type_text(kind)}, and only Bearer can be used")
    return AccessToken(value, _lifetime(document.get("expires_in")))


def _response_error(status: int, document: dict[str, Any] | None) -> TokenResponseError:
    if 300 <= status < 400:
        return TokenResponseError(
            f"it answered {status}: a redirect, to which the client's secret is not sent; "
            "set token_url to the final URL"
        )
    document, is_client_rejected = document or {}, status == 401
    code = _code(document.get("error"))
    if not code:
        hint = "it is down or overloaded" if status >= 500 or status == 429 else "check token_url"
        return TokenResponseError(
            f"it answered {status} without an error code of OAuth 2: {hint}", is_client_rejected=is_client_rejected
        )
    entra = _ENTRA_CODE.search(str(document.get("error_description", ""))[:2000])
    message = f"it answered {status} {code}{f' ({entra[0]})' if entra else ''}"
    message += f"; {_HINTS[code]}" if code in _HINTS else ""
    return TokenResponseError(message, is_client_rejected=is_client_rejected or code == "invalid_client")


def _parse_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _code(value: Any) -> str:
    """Return an error code that may be repeated; empty if the text could be anything."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _type_text(value: Any) -> str:
    code = _code(value.lower()) if isinstance(value, str) else ""
    return f"the type {code}" if code else "an unknown type"


def _lifetime(value: Any) -> float:
    """Read a number, also as a text. Anything else counts as missing."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        seconds = 0.0
    if math.isnan(seconds) or seconds <= 0:
        return DEFAULT_TOKEN_LIFETIME
    return min(seconds, MAX_TOKEN_LIFETIME)


TOKEN_FETCH_TIMEOUT = 20.0
"""Seconds for one token."""

MAX_TOKEN_RESPONSE = 64 * 1024
"""Bytes."""

MAX_CACHED_TOKENS = 1000
"""Tokens. More evict the least recently used, such as those of a rotated secret."""

_RENEWED_BEFORE, _USED_UNTIL = 0.2, 0.05
"""The share of its lifetime that a token has left when it is renewed; and until when it is used if that fails."""

_MAX_RENEWED_BEFORE, _MAX_USED_UNTIL = 300.0, 30.0
"""Seconds: the same, for a token with a long lifetime."""


@dataclass(frozen=True, slots=True)
class OAuthGrant:
    """What a token is requested with, over the same route as the target. Equal grants share a token."""

    auth: OAuth2Auth
    client_id: str = field(repr=False)
    secret: str = field(repr=False)
    tls: TlsOptions
    client_certificate: str = field(default="", repr=False)
    """With its key, PEM."""
    proxy: ProxyEndpoint | None = field(default=None, repr=False)
    trace_parent: str = field(default="", compare=False)
    """A header, or empty: of the latest attempt that needed the token."""

    @property
    def endpoint(self) -> str:
        """For texts: without the query."""
        return self.auth.token_url.partition("?")[0]

    @property
    def key(self) -> str:
        """Identifies the grant without a secret in it."""
        auth, proxy = self.auth, self.proxy
        request = [auth.token_url, self.client_id, self.secret, auth.scope, auth.audience, auth.style]
        route = [self.tls.verify, self.tls.ca_file, self.client_certificate, proxy and (proxy.host, proxy.port)]
        return hashlib.sha256(json.dumps(request + route).encode()).hexdigest()

    def form(self) -> dict[str, str]:
        """Return the body of the token request."""
        form = {"grant_type": "client_credentials"}
        if self.auth.style == "body":
            form |= {"client_id": self.client_id, "client_secret": self.secret}
        optional = (("scope", self.auth.scope), ("audience", self.auth.audience))
        return form | {name: value for name, value in optional if value is not None}


class OAuthTokens:
    """Caches tokens, for one event loop. The owner of the client, the guard and the contexts closes them."""

    def __init__(
        self,
        client: httpx.AsyncClient,
        guard: Guard,
        contexts: TlsContexts,
        redactor: Redactor,
        derived: CurrentSecrets,
        user_agent: str,
        clock: Clock | None = None,
        outbound: Outbound = DIRECT,
    ) -> None:
        self._client = client
        self._outbound = outbound
        self._guard = guard
        self._contexts = contexts
        self._derived = derived
        self._in_use = CurrentSecrets(redactor)
        self._user_agent = user_agent
        self._grants: OrderedDict[str, OAuthGrant] = OrderedDict()
        self._cache = RefreshingCache(self._fetch, clock or _SystemTimeClock())

    async def get_token(self, grant: OAuthGrant) -> str:
        """Return a token; concurrent callers share a request. Raises TokenUnavailable, ClientRejected."""
        return await self._cache.get(self._remember(grant))

    async def refresh_rejected(self, grant: OAuthGrant, rejected: str) -> CredentialRefresh:
        """Return whether another token exists than the one that a target rejected; requests one unless it did so
        lately."""
        key = self._remember(grant)
        if await self._cache.refresh_if_equal(key, rejected):
            return CredentialRefresh(is_changed=True, message=f"another access token from {grant.endpoint} was fetched")
        at = self._cache.read_at(key)
        got = f"the one fetched at {format_instant(at)}" if at is not None else "none"
        return CredentialRefresh(is_changed=False, message=f"the access token from {grant.endpoint} is still {got}")

    async def aclose(self) -> None:
        """Cancel running requests."""
        await self._cache.aclose()

    def _remember(self, grant: OAuthGrant) -> str:
        key = grant.key
        self._grants[key] = grant
        self._grants.move_to_end(key)
        if len(self._grants) > MAX_CACHED_TOKENS and self._cache.evict(oldest := next(iter(self._grants))):
            del self._grants[oldest]
            self._in_use.remove(oldest)
        return key

    async def _fetch(self, key: str) -> FetchedValue:
        grant = self._grants[key]
        token = await self._request_token_in_time(grant)
        await self._register(key, token.value)
        before = min(_RENEWED_BEFORE * token.lifetime_s, _MAX_RENEWED_BEFORE)
        until = min(_USED_UNTIL * token.lifetime_s, _MAX_USED_UNTIL)
        return FetchedValue(token.value, token.lifetime_s - before, token.lifetime_s - until)

    async def _register(self, key: str, token: str) -> None:
        """Register the token, in place of the one that it renews."""
        if len(token) > LONG_SECRET:
            await asyncio.to_thread(self._in_use.set, key, token)
        else:
            self._in_use.set(key, token)

    async def _request_token_in_time(self, grant: OAuthGrant) -> AccessToken:
        # A separate clock: many attempts, or none any more, wait for the token, each in the phase `token`.
        clock, limit, tracker = (
            PhaseClock(),
            asyncio.timeout(TOKEN_FETCH_TIMEOUT),
            _PeerTracker(peer_of_url(grant.auth.token_url)),
        )
        try:
            async with limit:
                return await self._request_token(grant, clock, tracker)
        except TokenResponseError as error:
            kind = ClientRejected if error.is_client_rejected else TokenUnavailable
            raise kind(_failure_text(grant, str(error))) from None
        except ClientCertificateUnusable:
            raise client_certificate_error(grant.tls) from None
        except Exception as error:
            if limit.expired():
                reason = f"no answer within {TOKEN_FETCH_TIMEOUT:g} s"
                raise TokenUnavailable(_failure_text(grant, reason)) from None
            explained = classify_error(error, clock.current, tracker.peer)
            if explained is None:
                raise
            raise TokenUnavailable(_failure_text(grant, explained[1])) from None

    async def _request_token(self, grant: OAuthGrant, clock: PhaseClock, tracker: _PeerTracker) -> AccessToken:
        request = self._build_request(grant)
        secure = request.url.scheme == "https"
        self._guard.check_scheme(request.url.scheme, tracker.peer.host, tracker.peer.port)
        proxy = self._outbound.choose_proxy(grant.proxy, tracker.peer.host, tracker.peer.port)
        options = RequestOptions(clock, proxy=proxy, on_peer_change=tracker)
        if secure:
            context = await self._contexts.get_context(grant.tls, client_certificate=grant.client_certificate)
            options.tls = context
        request.extensions = options.as_extensions()
        response = await self._client.send(request, stream=True, auth=None, follow_redirects=False)
        try:
            assert isinstance(response.stream, httpx.AsyncByteStream)
            encoding = response.headers.get("content-encoding", "")
            body = await read_body(response.stream, encoding, MAX_TOKEN_RESPONSE)
        finally:
            await response.aclose()
        if body.truncated:
            raise TokenResponseError(f"its answer has more than {MAX_TOKEN_RESPONSE // 1024} KiB: check token_url")
        return parse_token_response(response.status_code, body.content)

    def _build_request(self, grant: OAuthGrant) -> httpx.Request:
        headers = {
            "User-Agent": self._user_agent,
            "Accept": "application/json",
            "Accept-Encoding": ACCEPTED_ENCODINGS,
            "Connection": "close",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        if grant.auth.style == "header":
            # URL-encode both first (RFC 6749, section 2.3.1): an id may contain a colon.
            headers["Authorization"] = basic_authorization(
                quote_plus(grant.client_id), quote_plus(grant.secret), self._derived
            )
        if grant.trace_parent:
            headers[TRACE_HEADER] = grant.trace_parent
        url = parse_url(grant.auth.token_url)
        return httpx.Request("POST", url, headers=headers, content=urlencode(grant.form()).encode())


class _PeerTracker:
    """The peer of the current part of a token request: a proxy, or the endpoint."""

    def __init__(self, peer: Peer) -> None:
        self.peer = peer

    def __call__(self, host: str, port: int) -> None:
        self.peer = Peer(host, port)


def _failure_text(grant: OAuthGrant, reason: str) -> str:
    return f"No access token from {grant.endpoint}: {reason}"


class _SystemTimeClock:
    """The clock of the runner's package, which is above the checks."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
