"""The credential of a service principal whose secret stands in a file. Called by config.identity.

The variables are those of Azure's libraries, with AZURE_CLIENT_SECRET_FILE in place of AZURE_CLIENT_SECRET.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError
from azure.identity.aio import ClientSecretCredential

from config.bounded_transport import BoundedTransport
from config.settings.variables import AZURE_VARIABLE, CLIENT_SECRET_VARIABLE
from config.value_files import FILE_SUFFIX, UnusableSecretFile, read_secret_variable

TENANT_VARIABLE = "AZURE_TENANT_ID"
CLIENT_SECRET_FILE_VARIABLE = CLIENT_SECRET_VARIABLE + FILE_SUFFIX


class ClientSecretFileCredential:
    """An AsyncTokenCredential. It reads the file for each token, so that a rotated secret needs no restart."""

    def __init__(self, environ: Mapping[str, str], **options: Any) -> None:
        """`options`: of the library's credential, such as `authority`."""
        self._environ = environ
        self._options = options
        self._secret = ""
        self._credential: ClientSecretCredential | None = None

    async def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Raises ClientAuthenticationError."""
        credential = await self._open_credential()
        return await credential.get_token(*scopes, **options)

    async def _open_credential(self) -> ClientSecretCredential:
        try:
            secret = await asyncio.to_thread(read_secret_variable, self._environ, CLIENT_SECRET_VARIABLE)
        except UnusableSecretFile as error:
            raise ClientAuthenticationError(str(error)) from None
        if self._credential is None or secret != self._secret:
            tenant, client = (self._environ.get(name, "").strip() for name in (TENANT_VARIABLE, AZURE_VARIABLE))
            if not (tenant and client):
                required = f"{TENANT_VARIABLE} and {AZURE_VARIABLE}"
                raise ClientAuthenticationError(f"{CLIENT_SECRET_FILE_VARIABLE} needs {required}: set both")
            await self.close()
            options = {"transport": BoundedTransport(), **self._options}
            self._credential, self._secret = ClientSecretCredential(tenant, client, secret, **options), secret
        return self._credential

    async def close(self) -> None:
        if self._credential is not None:
            await self._credential.close()
            self._credential = None

    async def __aenter__(self) -> ClientSecretFileCredential:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
