"""Verifies API keys against the store, with a cache. Used by scheduler.authentication.own.

A revocation is in force in every process after KEY_CACHE_TIME. While the store is unavailable, cached keys stay valid
for KEY_STALE_TIME, and other keys cannot be verified.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from dataclasses import dataclass

from jobs.ports import Clock
from scheduler.authentication.errors import AuthenticationUnavailable, InvalidCredential
from scheduler.authentication.port import Authenticated
from scheduler.identity.api_keys import ApiKey, parse_api_key
from scheduler.identity.principal import PrincipalKind
from scheduler.stores.identity.api_keys import ApiKeys
from scheduler.stores.port import StoreError

KEY_CACHE_TIME = 5.0
"""Seconds for which a read of a key is valid."""
KEY_STALE_TIME = 300.0
"""Seconds after its last read for which a cached key is accepted while the store is unavailable."""
USE_INTERVAL = 60.0
"""Seconds between two records of the last use of a key, in each process."""
MAX_CACHED_KEYS = 1000

_WAY = PrincipalKind.API_KEY
_log = logging.getLogger("scheduler.authentication")
_UNKNOWN = "The API key is not valid. Send a complete key of this scheduler; it may have been deleted."


@dataclass(slots=True)
class _CachedKey:
    """`key`: None if no key has the id."""

    key: ApiKey | None
    read_at: float


class KeyVerifier:
    def __init__(self, keys: ApiKeys, clock: Clock) -> None:
        self._keys = keys
        self._clock = clock
        self._cached: OrderedDict[str, _CachedKey] = OrderedDict()
        self._reads: dict[str, asyncio.Task[ApiKey | None]] = {}
        self._used_at: dict[str, float] = {}

    async def verify(self, text: str, address: str) -> Authenticated:
        """Return the caller with this key. Raises InvalidCredential, AuthenticationUnavailable."""
        key_id = parse_api_key(text)
        if key_id is None:
            raise InvalidCredential(_UNKNOWN, reason="key_malformed", way=_WAY)
        key = await self._find(key_id)
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

    async def _find(self, key_id: str) -> ApiKey | None:
        known = self._cached.get(key_id)
        if known is not None and self._age(known) < KEY_CACHE_TIME:
            return known.key
        try:
            key = await self._read_once(key_id)
        except StoreError as error:
            if known is not None and known.key is not None and self._age(known) < KEY_STALE_TIME:
                return known.key
            detail = "API keys cannot be verified now, because the store is unavailable. Retry later."
            raise AuthenticationUnavailable(detail, reason="store_unavailable", way=_WAY) from error
        self._cached[key_id] = _CachedKey(key, self._clock.monotonic())
        self._cached.move_to_end(key_id)
        if len(self._cached) > MAX_CACHED_KEYS:
            self._cached.popitem(last=False)
        return key

    def _age(self, known: _CachedKey) -> float:
        return self._clock.monotonic() - known.read_at

    async def _read_once(self, key_id: str) -> ApiKey | None:
        """Read the key; concurrent requests with the same key share one read."""
        read = self._reads.get(key_id)
        if read is None:
            read = self._reads[key_id] = asyncio.create_task(self._keys.find(key_id))
            read.add_done_callback(lambda done: self._end_read(key_id, done))
        return await asyncio.shield(read)

    def _end_read(self, key_id: str, done: asyncio.Task[ApiKey | None]) -> None:
        del self._reads[key_id]
        if not done.cancelled():
            done.exception()  # retrieved here: every request that waits may have been cancelled

    async def _record_use(self, key_id: str) -> None:
        now = self._clock.monotonic()
        if now - self._used_at.get(key_id, float("-inf")) < USE_INTERVAL:
            return
        self._used_at[key_id] = now
        try:
            await self._keys.record_use(key_id, self._clock.now())
        except StoreError as error:
            _log.warning("could not record the use of API key %s: %s; the key stays valid", key_id, error)
