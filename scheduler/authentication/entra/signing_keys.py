"""The keys with which the identity provider signs tokens. Used by scheduler.authentication.entra.tokens.

They are fetched and cached. The provider rotates them without notice, so a token with an unknown key causes a fetch, at
most once a minute. While the provider is unavailable, the fetched keys stay valid for STALE_TIME.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jobs.ports import Clock
from jobs.responses.reading import fetch
from scheduler.authentication.errors import AuthenticationUnavailable, InvalidCredential
from scheduler.identity.principal import PrincipalKind

if TYPE_CHECKING:
    import httpx
    from jwt import PyJWK

FRESH_TIME = 3600.0
"""Seconds for which fetched keys are used without another fetch."""
STALE_TIME = 86400.0
"""Seconds after the last successful fetch for which keys are used while the provider is unavailable."""
MIN_FETCH_INTERVAL = 60.0
"""Seconds between two fetches that unknown keys cause."""
RETRY_INTERVAL = 10.0
"""Seconds until the next fetch after a failed one."""
FETCH_TIMEOUT = 5.0
_MAX_BYTES = 256 * 1024
_MAX_KEYS = 200
"""Of a key set: each costs some milliseconds of the event loop. A tenant has about ten."""

_log = logging.getLogger("scheduler.authentication")


class SigningKeys:
    def __init__(self, url: str, clock: Clock, open_client: Callable[[], httpx.AsyncClient] | None = None) -> None:
        """`url`: the JSON Web Key Set. `open_client`: for tests."""
        self._url = url
        self._clock = clock
        self._open_client = open_client or _open_client
        self._keys: Mapping[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._error = ""
        self._lock = asyncio.Lock()

    async def find(self, kid: str) -> PyJWK:
        """Return the key with this id. Raises InvalidCredential, AuthenticationUnavailable."""
        is_usable = kid in self._keys and self._age() < STALE_TIME
        if self._needs_fetch(kid) and not (is_usable and self._lock.locked()):
            async with self._lock:
                if self._needs_fetch(kid):
                    await self._fetch()
        if self._age() >= STALE_TIME or (self._error and kid not in self._keys):
            detail = "Tokens cannot be verified now, because the identity provider is unavailable. Retry later."
            raise AuthenticationUnavailable(detail, reason="provider_unavailable", way=PrincipalKind.ENTRA)
        if kid not in self._keys:
            detail = "The token is signed with a key that the tenant does not have."
            raise InvalidCredential(detail, reason="token_key_unknown", way=PrincipalKind.ENTRA)
        return self._keys[kid]

    def _age(self) -> float:
        return self._clock.monotonic() - self._fetched_at

    def _needs_fetch(self, kid: str) -> bool:
        pause = RETRY_INTERVAL if self._error else MIN_FETCH_INTERVAL
        if self._clock.monotonic() - self._tried_at < pause:
            return False
        return kid not in self._keys or self._age() >= FRESH_TIME

    async def _fetch(self) -> None:
        try:
            self._keys = await self._read()
        except Exception as error:
            if not self._error:
                _log.warning(
                    "could not fetch the signing keys %s: %s; those fetched before stay valid for %d hours",
                    self._url,
                    type(error).__name__,
                    STALE_TIME // 3600,
                )
            self._error = type(error).__name__
        else:
            self._fetched_at, self._error = self._clock.monotonic(), ""
        self._tried_at = self._clock.monotonic()

    async def _read(self) -> Mapping[str, PyJWK]:
        from jwt import PyJWK

        async with self._open_client() as client:
            response = await fetch(client, "GET", self._url, limit=_MAX_BYTES, timeout_s=FETCH_TIMEOUT)
        if not response.is_success:
            raise ValueError(f"the provider responded with status {response.status}")
        keys = response.parse_json()["keys"]
        found = {each["kid"]: PyJWK(each, "RS256") for each in keys[:_MAX_KEYS] if _is_signing_key(each)}
        if not found:
            raise ValueError("the key set has no RSA key")
        return found


def _is_signing_key(key: Mapping[str, Any]) -> bool:
    return key.get("kty") == "RSA" and key.get("use", "sig") == "sig" and isinstance(key.get("kid"), str)


def _open_client() -> httpx.AsyncClient:
    import httpx

    return httpx.AsyncClient(timeout=FETCH_TIMEOUT, follow_redirects=False, trust_env=False)
