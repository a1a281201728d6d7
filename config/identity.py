"""The app's own identity: one credential a process, and access tokens made with it. Opened and closed by scheduler.app.

Implements jobs.ports.Tokens for checks with `managed_identity`, and lends its credential to the Azure adapters.
"""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from config.outbound import build_outbound
from config.settings.model import Settings
from jobs.errors import TokenUnavailable
from jobs.formats import format_instant
from jobs.ports import Clock, CredentialRefresh
from jobs.problems import make_printable
from jobs.refreshing_cache import FetchedValue, FetchFailure, RefreshingCache
from jobs.running.clocks import SystemClock

if TYPE_CHECKING:
    from azure.core.credentials_async import AsyncTokenCredential

TOKEN_RENEWED_BEFORE_EXPIRY = 300.0
"""Seconds before its expiry that a token is renewed."""

TOKEN_USED_UNTIL_BEFORE_EXPIRY = 30.0
"""Seconds before its expiry until which a token is used if its renewal fails."""

TOKEN_TIMEOUT = 20.0
"""Seconds for one token."""

_TOKEN = re.compile(r"[\x21-\x7e]+")


class AppIdentity:
    """Nothing is imported or opened before the first use.

    In environment `dev` it is the signed-in user (environment variables, managed identity, Azure CLI, ...); elsewhere
    only the managed identity, by `managed_identity_client_id` if that is set.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, wall_time: Callable[[], float] = time.time
    ) -> None:
        self._settings = settings
        self._wall_time = wall_time
        self._credential: AsyncTokenCredential | None = None
        self._open_lock = asyncio.Lock()
        self._tokens = RefreshingCache(
            self._fetch_token, clock or SystemClock(), fetch_uncached=self._fetch_uncached_token
        )

    async def open_credential(self) -> AsyncTokenCredential:
        """Return the one credential for clients of Azure services. The caller must not close it."""
        async with self._open_lock:
            if self._credential is None:
                # The import takes a fifth of a second, which would delay in-flight runs.
                self._credential = await asyncio.to_thread(_new_credential, self._settings)
            return self._credential

    async def get_token(self, scope: str) -> str:
        """An access token for this scope. Raises TokenUnavailable."""
        return await self._tokens.get(scope)

    async def refresh_rejected(self, scope: str, rejected: str) -> CredentialRefresh:
        if await self._tokens.refresh_if_equal(scope, rejected):
            return CredentialRefresh(is_changed=True, message=f"a new access token for {scope} was requested")
        at = self._tokens.read_at(scope)
        since = f" since {format_instant(at)}" if at is not None else ""
        return CredentialRefresh(is_changed=False, message=f"the access token for {scope} is unchanged{since}")

    def health(self) -> tuple[FetchFailure, ...]:
        """Return the scopes whose last request for a token failed."""
        return self._tokens.fetch_failures()

    async def aclose(self) -> None:
        """Close the credential."""
        await self._tokens.aclose()
        if self._credential is not None:
            await self._credential.close()
            self._credential = None

    async def _fetch_token(self, scope: str) -> FetchedValue:
        return await self._request_token(scope, await self.open_credential())

    async def _fetch_uncached_token(self, scope: str) -> FetchedValue:
        """Use a separate credential: the shared one caches its tokens until shortly before they expire."""
        async with await asyncio.to_thread(_new_credential, self._settings) as credential:
            return await self._request_token(scope, credential)

    async def _request_token(self, scope: str, credential: AsyncTokenCredential) -> FetchedValue:
        from config.azure_clients import UNUSABLE_RESPONSE

        try:
            async with asyncio.timeout(TOKEN_TIMEOUT):
                token = await credential.get_token(scope)
        except TimeoutError:
            raise TokenUnavailable(f"no token for {scope}: no answer within {TOKEN_TIMEOUT:g} s") from None
        except UNUSABLE_RESPONSE as error:
            raise TokenUnavailable(f"no token for {scope}: {self._error_message(error)}") from None
        if not _TOKEN.fullmatch(token.token):
            raise TokenUnavailable(f"no token for {scope}: the answer has one that a header cannot contain")
        rest = token.expires_on - self._wall_time()
        return FetchedValue(token.token, rest - TOKEN_RENEWED_BEFORE_EXPIRY, rest - TOKEN_USED_UNTIL_BEFORE_EXPIRY)

    def _error_message(self, error: Exception) -> str:
        """Return the first line of the library's message, and what to check."""
        first = make_printable(str(error).strip().split("\n", 1)[0], 200).rstrip(".")
        if self._settings.environment == "dev":
            return f"{first}; sign in with `az login`, or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET"
        return f"{first}; check that the app has a managed identity and that it was granted this scope"


def _new_credential(settings: Settings) -> AsyncTokenCredential:
    from azure.identity.aio import DefaultAzureCredential, ManagedIdentityCredential

    from config.azure_clients import CLIENT_SECRET_FILE_VARIABLE, BoundedTransport, ClientSecretFileCredential

    client_id, outbound = settings.managed_identity_client_id, build_outbound(settings)
    if settings.environment == "dev":
        if os.environ.get(CLIENT_SECRET_FILE_VARIABLE, "").strip():
            return ClientSecretFileCredential(os.environ, outbound)
        return DefaultAzureCredential(managed_identity_client_id=client_id, transport=BoundedTransport(outbound))
    return ManagedIdentityCredential(client_id=client_id, transport=BoundedTransport(outbound))


def fetch_command_token(audience: str) -> str:
    """Return an access token for a command: of the user of `az login`, else of the managed identity.

    `audience`: such as `api://scheduler`, or a scope of it. Raises TokenUnavailable.
    """
    from azure.core.exceptions import AzureError
    from azure.identity import AzureCliCredential, ChainedTokenCredential, ManagedIdentityCredential

    client_id = os.environ.get("AZURE_CLIENT_ID") or None
    scope = audience if audience.endswith("/.default") else f"{audience.rstrip('/')}/.default"
    chain = ChainedTokenCredential(
        AzureCliCredential(process_timeout=int(TOKEN_TIMEOUT)), ManagedIdentityCredential(client_id=client_id)
    )
    try:
        with chain:
            return chain.get_token(scope).token
    except (AzureError, ValueError) as error:
        reason = make_printable(" ".join(str(error).split()), 300).rstrip(".")
        raise TokenUnavailable(f"no token of Entra ID for {audience}: {reason}; sign in with `az login`") from None
