"""Secrets of an Azure Key Vault, cached for some minutes. Called by config.secrets.chain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from config.identity import AppIdentity
from config.settings.fields import LOOPBACK_HOSTS
from jobs.checks.outbound import DIRECT, Outbound
from jobs.errors import SecretUnavailable
from jobs.ports import Clock
from jobs.problems import make_printable
from jobs.refreshing_cache import FetchedValue, FetchFailure, RefreshingCache, ValueNotFound

if TYPE_CHECKING:
    from azure.keyvault.secrets.aio import SecretClient

    from config.azure_clients import BoundedTransport

SECRET_FRESH_FOR = 300.0
"""Seconds that a value is used without a request: the maximum delay of a rotation."""

SECRET_USABLE_FOR = 24 * 3600.0
"""Seconds that a value is used at most while the vault is unavailable."""

SECRET_TIMEOUT = 15.0
"""Seconds for one secret, token and retries included."""


_FORBIDDEN_MESSAGE = (
    "reading it is forbidden; grant the app's identity the role Key Vault Secrets User, "
    "and check that the secret is enabled and that the vault's firewall lets the app in"
)


class _NoSuchSecret(SecretUnavailable, ValueNotFound):
    """The secret does not exist, so a retry is useless."""


class KeyVault:
    """One client a process, opened at the first use."""

    def __init__(
        self, url: str, identity: AppIdentity, clock: Clock, options: Mapping[str, Any], outbound: Outbound = DIRECT
    ) -> None:
        self._url = url
        self._outbound = outbound
        self._identity = identity
        self._options = options
        self._client: SecretClient | None = None
        self._open_lock = asyncio.Lock()
        self._values = RefreshingCache(self._fetch_secret, clock, is_stable=True)

    @property
    def url(self) -> str:
        return self._url

    async def read_secret(self, name: str) -> str:
        """Raises SecretUnavailable."""
        return await self._values.get(name)

    async def refresh_if_equal(self, name: str, refused: str) -> bool:
        """Return whether the value differs from the rejected one; queries the vault unless it did so recently."""
        return await self._values.refresh_if_equal(name, refused)

    def mark_stale(self, name: str) -> None:
        """Read a new version at the next use. Names are not case-sensitive here, and `_` is `-`."""
        for cached in self._values.names():
            if normalize_name(cached) == normalize_name(name):
                self._values.mark_stale(cached)

    def read_at(self, name: str) -> datetime | None:
        return self._values.read_at(name)

    def fetch_failures(self) -> tuple[FetchFailure, ...]:
        return self._values.fetch_failures()

    async def aclose(self) -> None:
        await self._values.aclose()
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _fetch_secret(self, name: str) -> FetchedValue:
        client = await self._open_client()
        from config.azure_clients import UNUSABLE_RESPONSE

        try:
            async with asyncio.timeout(SECRET_TIMEOUT):
                # A vault's names have no underscore; a variable's have no hyphen.
                secret = await client.get_secret(name.replace("_", "-"))
        except TimeoutError:
            raise self._unavailable(name, f"no answer within {SECRET_TIMEOUT:g} s") from None
        except UNUSABLE_RESPONSE as error:
            raise self._explain(name, error) from None
        if not secret.value:
            raise self._unavailable(name, "its value is empty; add a version with a value")
        return FetchedValue(secret.value, SECRET_FRESH_FOR, SECRET_USABLE_FOR)

    async def _open_client(self) -> SecretClient:
        async with self._open_lock:
            if self._client is None:
                credential = await self._identity.open_credential()
                client_class, transport_class = await asyncio.to_thread(_import_client)
                loopback = urlsplit(self._url).hostname in LOOPBACK_HOSTS
                options = {"retry_total": 2, "verify_challenge_resource": not loopback, **self._options}
                transport = transport_class(self._outbound, **self._options)
                self._client = client_class(self._url, credential, transport=transport, **options)
            return self._client

    def _explain(self, name: str, error: Exception) -> SecretUnavailable:
        from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

        first = make_printable(str(error).strip().split("\n", 1)[0], 160)
        if isinstance(error, ResourceNotFoundError):
            return _NoSuchSecret(self._message(name, "there is no secret of that name; create it, or fix the job"))
        if isinstance(error, HttpResponseError) and error.status_code == 403:
            return self._unavailable(name, _FORBIDDEN_MESSAGE)
        if isinstance(error, HttpResponseError) and error.status_code == 429:
            return self._unavailable(name, "the vault receives too many requests (429)")
        if isinstance(error, ClientAuthenticationError):
            return self._unavailable(name, f"the app's identity gives no token for the vault ({first})")
        return self._unavailable(name, f"the vault does not answer ({first})")

    def _unavailable(self, name: str, reason: str) -> SecretUnavailable:
        return SecretUnavailable(self._message(name, reason))

    def _message(self, name: str, reason: str) -> str:
        return f"secret {name}: not in the environment, and in {self._url}: {reason}"


def normalize_name(name: str) -> str:
    """A secret's name as the vault compares it."""
    return name.replace("_", "-").lower()


def _import_client() -> tuple[type[SecretClient], type[BoundedTransport]]:
    from azure.keyvault.secrets.aio import SecretClient

    from config.azure_clients import BoundedTransport

    return SecretClient, BoundedTransport
