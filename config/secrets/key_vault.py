"""Secrets of an Azure Key Vault, kept for some minutes. Called by config.secrets.chain."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from config.identity import Identity
from config.settings import LOOPBACK
from jobs.errors import SecretUnavailable
from jobs.kept_values import Fetched, KeptValues, NotThere, Trouble
from jobs.ports import Clock
from jobs.problems import printable

if TYPE_CHECKING:
    from azure.keyvault.secrets.aio import SecretClient

FRESH_FOR = 300.0
"""Seconds that a value is used without asking: how long a rotation may take to arrive."""

USABLE_FOR = 24 * 3600.0
"""Seconds that a value is used at most while the vault is away."""

LONGEST_FETCH = 15.0
"""Seconds for one secret, token and retries included."""


_FORBIDDEN = (
    "reading it is forbidden; grant the app's identity the role Key Vault Secrets User, "
    "and check that the secret is enabled and that the vault's firewall lets the app in"
)


class _NoSuchSecret(SecretUnavailable, NotThere):
    """Not one that cannot be read now: there is none."""


class KeyVault:
    """One client a process, opened at the first use."""

    def __init__(self, url: str, identity: Identity, clock: Clock, options: Mapping[str, Any]) -> None:
        self._url = url
        self._identity = identity
        self._options = options
        self._client: SecretClient | None = None
        self._opening = asyncio.Lock()
        self._values = KeptValues(self._fetch, clock, lasting=True)

    @property
    def url(self) -> str:
        return self._url

    async def get(self, name: str) -> str:
        """Raises SecretUnavailable."""
        return await self._values.get(name)

    async def another_than(self, name: str, refused: str) -> bool:
        """Whether it is another value than `refused` by now; asks the vault, if it was not for this asked lately."""
        return await self._values.another_than(name, refused)

    def drop(self, name: str) -> None:
        """There is a new version: ask at the next use. Names are the same here whatever their case, and `_` is `-`."""
        for kept in self._values.names():
            if plain_name(kept) == plain_name(name):
                self._values.drop(kept)

    def read_at(self, name: str) -> datetime | None:
        return self._values.read_at(name)

    def troubles(self) -> tuple[Trouble, ...]:
        return self._values.troubles()

    async def aclose(self) -> None:
        await self._values.aclose()
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _fetch(self, name: str) -> Fetched:
        client = await self._opened()
        from azure.core.exceptions import AzureError

        try:
            async with asyncio.timeout(LONGEST_FETCH):
                # A vault's names have no underscore; a variable's have no hyphen.
                secret = await client.get_secret(name.replace("_", "-"))
        except TimeoutError:
            raise self._unavailable(name, f"no answer within {LONGEST_FETCH:g} s") from None
        except (AzureError, ValueError) as error:
            raise self._explained(name, error) from None
        if not secret.value:
            raise self._unavailable(name, "its value is empty; add a version with a value")
        return Fetched(secret.value, FRESH_FOR, USABLE_FOR)

    async def _opened(self) -> SecretClient:
        async with self._opening:
            if self._client is None:
                credential = await self._identity.credential()
                client_class = await asyncio.to_thread(_import_client)
                loopback = urlsplit(self._url).hostname in LOOPBACK
                options = {"retry_total": 2, "verify_challenge_resource": not loopback, **self._options}
                self._client = client_class(self._url, credential, **options)
            return self._client

    def _explained(self, name: str, error: Exception) -> SecretUnavailable:
        from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

        first = printable(str(error).strip().split("\n", 1)[0], 160)
        if isinstance(error, ResourceNotFoundError):
            return _NoSuchSecret(self._sentence(name, "there is no secret of that name; create it, or mend the job"))
        if isinstance(error, HttpResponseError) and error.status_code == 403:
            return self._unavailable(name, _FORBIDDEN)
        if isinstance(error, HttpResponseError) and error.status_code == 429:
            return self._unavailable(name, "the vault is asked too often (429)")
        if isinstance(error, ClientAuthenticationError):
            return self._unavailable(name, f"the app's identity gives no token for the vault ({first})")
        return self._unavailable(name, f"the vault does not answer ({first})")

    def _unavailable(self, name: str, reason: str) -> SecretUnavailable:
        return SecretUnavailable(self._sentence(name, reason))

    def _sentence(self, name: str, reason: str) -> str:
        return f"secret {name}: not in the environment, and in {self._url}: {reason}"


def plain_name(name: str) -> str:
    """A secret's name as the vault compares it."""
    return name.replace("_", "-").lower()


def _import_client() -> type[SecretClient]:
    from azure.keyvault.secrets.aio import SecretClient

    return SecretClient
