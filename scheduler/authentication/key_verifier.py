"""Verifies API keys against the store, with a cache. Used by scheduler.authentication.own.

A revocation is in force in every process within seconds. While the store is unavailable, cached keys stay valid for
some minutes, and other keys cannot be verified; see scheduler.authentication.cached_reads.

An address that has failed too often costs no read for each key that it invents: the ids of all keys, which are read at
most once in a few seconds, tell whether a key is worth one.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from jobs.ports import Clock
from scheduler.authentication.cached_reads import CachedReads
from scheduler.authentication.errors import AuthenticationUnavailable, InvalidCredential
from scheduler.authentication.port import Authenticated
from scheduler.identity.api_keys import ApiKey, parse_api_key
from scheduler.identity.principal import PrincipalKind
from scheduler.stores.identity import ApiKeys
from scheduler.stores.port import StoreError

USE_INTERVAL = 60.0
"""Seconds between two records of the last use of a key, in each process."""

_ALL_KEYS = ""
"""The only key of the cached ids."""
_WAY = PrincipalKind.API_KEY
_log = logging.getLogger("scheduler.authentication")
_UNKNOWN = "The API key is not valid. Send a complete key of this scheduler; it may have been deleted."


class KeyVerifier:
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
