"""Authentication by the scheduler itself: which credential of a request counts, and the verification of API keys.

A request has one credential. Two explicit ones are rejected, because it would be unclear which of them counts; the
cookie, which a browser adds by itself, counts only without an explicit one.

Keys are read from the store with a cache: a revocation is in force in every process within seconds. While the store is
unavailable, cached keys stay valid for some minutes, and other keys cannot be verified. An address that has failed too
often costs no read for each key that it invents: the ids of all keys, which are read at most once in a few seconds,
tell whether a key is worth one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from jobs.ports import Clock
from scheduler.authentication.port import (
    Authenticated,
    AuthenticationMode,
    AuthenticationUnavailable,
    InvalidCredential,
    RequestCredentials,
)
from scheduler.identity.api_keys import API_KEY_PREFIX, ApiKey, parse_api_key
from scheduler.identity.principal import PrincipalKind
from scheduler.stores.identity import ApiKeys
from scheduler.stores.port import StoreError

FRESH_TIME = 5.0
"""Seconds for which a read is valid: within this time a change by another process is in force."""
STALE_TIME = 300.0
"""Seconds after its last read for which an object is used while the store is unavailable."""
MAX_CACHED = 1000

T = TypeVar("T")


@dataclass(slots=True)
class _Read(Generic[T]):
    """`value`: None if the object does not exist."""

    value: T | None
    read_at: float


class CachedReads(Generic[T]):
    def __init__(self, read: Callable[[str], Awaitable[T | None]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._cached: OrderedDict[str, _Read[T]] = OrderedDict()
        self._reading: dict[str, asyncio.Task[T | None]] = {}

    async def find(self, key: str) -> T | None:
        """Return the object; None if it does not exist. Raises StoreError: it is neither readable nor cached."""
        cached = self._cached.get(key)
        if cached is not None and self._age(cached) < FRESH_TIME:
            return cached.value
        try:
            value = await self._read_once(key)
        except StoreError:
            if cached is not None and cached.value is not None and self._age(cached) < STALE_TIME:
                return cached.value
            raise
        self.store(key, value)
        return value

    def store(self, key: str, value: T | None) -> None:
        """Cache an object. Unknown keys, which anyone can send, never displace known ones."""
        if value is None and key not in self._cached and len(self._cached) >= MAX_CACHED:
            return
        self._cached[key] = _Read(value, self._clock.monotonic())
        self._cached.move_to_end(key)
        if len(self._cached) > MAX_CACHED:
            self._cached.popitem(last=False)

    def _age(self, cached: _Read[T]) -> float:
        return self._clock.monotonic() - cached.read_at

    async def _read_once(self, key: str) -> T | None:
        """Read the object; concurrent requests for it share one read."""
        reading = self._reading.get(key)
        if reading is None:
            reading = self._reading[key] = asyncio.ensure_future(self._read(key))
            reading.add_done_callback(lambda done: self._end_read(key, done))
        return await asyncio.shield(reading)

    def _end_read(self, key: str, done: asyncio.Task[T | None]) -> None:
        del self._reading[key]
        if not done.cancelled():
            done.exception()  # retrieved here: every request that waits may have been cancelled


USE_INTERVAL = 60.0
"""Seconds between two records of the last use of a key, in each process."""

_ALL_KEYS = ""
"""The only key of the cached ids."""
_WAY = PrincipalKind.API_KEY
_log = logging.getLogger("scheduler.authentication")
_UNKNOWN = "The API key is not valid. Send a complete key of this scheduler; it may have been deleted."


class KeyVerifier:
    """Verifies API keys, with a cache of those that were read."""

    def __init__(self, keys: ApiKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._cached = CachedReads(keys.find, clock)
        self._ids = CachedReads(lambda _: keys.list_ids(), clock)
        self._used_at: dict[str, float] = {}

    async def verify(self, text: str, address: str, *, is_suspect: bool = False) -> Authenticated:
        """Return the caller with this key. Raises InvalidCredential, AuthenticationUnavailable.

        `is_suspect`: see RequestCredentials.
        """
        key_id = parse_api_key(text)
        if key_id is None:
            raise InvalidCredential(_UNKNOWN, reason="key_malformed", way=_WAY)
        key = None if is_suspect and not await self._exists(key_id) else await self._find(key_id)
        if key is None or not key.matches(text):
            raise InvalidCredential(_UNKNOWN, reason="key_unknown", way=_WAY)
        return await self._accept(key, address)

    async def verify_id(self, key_id: str, address: str) -> Authenticated:
        """Return the caller of a session that was started with this key. Raises like `verify`."""
        key = await self._find(key_id)
        if key is None:
            raise InvalidCredential("The API key of the session does not exist.", reason="key_unknown", way=_WAY)
        return await self._accept(key, address)

    async def _accept(self, key: ApiKey, address: str) -> Authenticated:
        if rejection := key.rejection_at(self._clock.now(), address):
            raise InvalidCredential(rejection.detail, reason=rejection.reason, way=_WAY, claimed=key.principal.id)
        await self._record_use(key.id)
        return Authenticated(key.principal, key_id=key.id, valid_until=key.expires_at)

    async def _exists(self, key_id: str) -> bool:
        with _store_unavailable():
            return key_id in (await self._ids.find(_ALL_KEYS) or ())

    async def _find(self, key_id: str) -> ApiKey | None:
        with _store_unavailable():
            return await self._cached.find(key_id)

    async def _record_use(self, key_id: str) -> None:
        now = self._clock.monotonic()
        if now - self._used_at.get(key_id, float("-inf")) < USE_INTERVAL:
            return
        self._used_at[key_id] = now
        try:
            await self._keys.record_use(key_id, self._clock.now())
        except StoreError as error:
            _log.warning("could not record the use of API key %s: %s; the key stays valid", key_id, error)


@contextmanager
def _store_unavailable() -> Iterator[None]:
    """Raise AuthenticationUnavailable for a StoreError."""
    try:
        yield
    except StoreError as error:
        detail = "API keys cannot be verified now, because the store is unavailable. Retry later."
        raise AuthenticationUnavailable(detail, reason="store_unavailable", way=_WAY) from error


EASY_AUTH_HEADER = "x-ms-client-principal"
_TWO_CREDENTIALS = "The request has more than one credential. Send Authorization or X-API-Key, and only once."
_WRONG_SCHEME = "The Authorization header is not supported. Send `Authorization: Bearer KEY`."
_NO_TOKENS = "The bearer token is not an API key, and the setting http.entra does not accept other tokens."


class BearerVerifier(Protocol):
    """Verifies bearer tokens that are not API keys; see scheduler.authentication.entra."""

    async def verify(self, token: str) -> Authenticated:
        """Raises AuthenticationError."""
        ...


class Ways(NamedTuple):
    """The ways in that the settings allow, in addition to API keys."""

    entra: BearerVerifier | None = None
    easy_auth: Callable[[str], Authenticated] | None = None
    session: Callable[[str, str], Awaitable[Authenticated | None]] | None = None
    """Gets the Cookie header and the address."""


class OwnAuthenticator:
    """Authenticates by the one credential of a request that counts: an API key, or one of the other ways in use."""

    mode = AuthenticationMode.OWN

    def __init__(self, keys: KeyVerifier, ways: Ways) -> None:
        self._keys = keys
        self._ways = ways

    async def authenticate(self, request: RequestCredentials) -> Authenticated | None:
        """Return the caller by the credential that counts; None without one. Raises AuthenticationError."""
        bearers, keys = request.headers("authorization"), request.headers("x-api-key")
        if len(bearers) + len(keys) > 1:
            raise InvalidCredential(_TWO_CREDENTIALS, reason="several_credentials", way="")
        if bearers:
            return await self._authenticate_bearer(bearers[0], request)
        if keys:
            return await self._keys.verify(keys[0].strip(), request.address, is_suspect=request.is_suspect)
        if self._ways.easy_auth is not None and (claims := request.headers(EASY_AUTH_HEADER)):
            if len(claims) > 1:
                raise InvalidCredential(_TWO_CREDENTIALS, reason="several_credentials", way="")
            return self._ways.easy_auth(claims[0])
        if self._ways.session is not None and (cookies := request.headers("cookie")):
            return await self._ways.session("; ".join(cookies), request.address)
        return None

    async def _authenticate_bearer(self, header: str, request: RequestCredentials) -> Authenticated:
        scheme, _, token = header.strip().partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise InvalidCredential(_WRONG_SCHEME, reason="scheme_unknown", way="")
        if token.startswith(API_KEY_PREFIX):
            return await self._keys.verify(token, request.address, is_suspect=request.is_suspect)
        if self._ways.entra is None:
            raise InvalidCredential(_NO_TOKENS, reason="token_unsupported", way="")
        return await self._ways.entra.verify(token)
