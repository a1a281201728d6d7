"""What clients of Azure services need here: responses with limited bodies, and the credential of a service principal
whose secret stands in a file.

The asynchronous clients read and decompress without a limit; config.identity and config.secrets.key_vault limit the
time of each call. The variables of the credential are those of Azure's libraries, with AZURE_CLIENT_SECRET_FILE in
place of AZURE_CLIENT_SECRET.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import aiohttp
from azure.core.credentials import AccessToken
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline.transport import AioHttpTransport
from azure.identity.aio import ClientSecretCredential

from config.outbound import build_outbound, create_tls_context, describe_proxy_failure, find_proxy_of
from config.settings.model import Settings
from config.settings.variables import (
    AZURE_VARIABLE,
    CLIENT_SECRET_VARIABLE,
    FILE_SUFFIX,
    UnusableSecretFile,
    read_secret_variable,
)
from jobs.checks.outbound import DIRECT, Outbound, ProxyEndpoint
from jobs.responses import read_body

MAX_BYTES = 256 * 1024
"""Of a token, or of a secret, which has at most 25 KB."""

UNUSABLE_RESPONSE = (AzureError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What Azure's clients raise for a response that they expect in another form."""


class OutboundTransport(AioHttpTransport):  # type: ignore[misc] # its package gives it without a type
    """Sends each request by the way of the settings. Without a proxy there, by that of the environment."""

    session: aiohttp.ClientSession | None
    response_class: type[aiohttp.ClientResponse] = aiohttp.ClientResponse

    def __init__(self, outbound: Outbound = DIRECT, **options: Any) -> None:
        super().__init__(**options)
        self._outbound = outbound

    async def open(self) -> None:
        if self.session is None and not self._has_been_opened:
            outbound = self._outbound
            context = await asyncio.to_thread(create_tls_context, outbound) if outbound.authorities else True
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context),
                trust_env=outbound.proxy is None,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # the library decompresses one encoding
                response_class=self.response_class,
            )
        await super().open()

    async def send(self, request: Any, **options: Any) -> Any:
        """Raises AzureError; it names the proxy if that is the cause."""
        outbound = self._outbound
        proxy = find_proxy_of(outbound, request.url)
        if proxy is None:
            return await super().send(request, **options)
        # The library moves this header into Proxy-Authorization, of the tunnel or of the request.
        headers = {"Authorization": proxy.authorization} if proxy.authorization else None
        try:
            response = await super().send(request, proxy=f"http://{proxy}", proxy_headers=headers, **options)
        except (ServiceRequestError, ServiceResponseError) as error:
            if not _is_about_proxy(error.inner_exception, proxy):
                raise
            raise ServiceRequestError(describe_proxy_failure(proxy, error.inner_exception or error)) from None
        if response.status_code == 407:
            raise ServiceRequestError(describe_proxy_failure(proxy, OSError("407 Proxy Authentication Required")))
        return response


def _is_about_proxy(error: BaseException | None, proxy: ProxyEndpoint) -> bool:
    if isinstance(error, aiohttp.ClientConnectorError):
        return (error.host, error.port) == (proxy.host, proxy.port)
    return isinstance(error, aiohttp.ClientHttpProxyError)


def create_client_options(settings: Settings) -> dict[str, Any]:
    """Return the options with which a client of Azure's libraries leaves by the settings; none without any."""
    outbound = build_outbound(settings)
    return {} if outbound == DIRECT else {"transport": OutboundTransport(outbound)}


class BoundedTransport(OutboundTransport):
    """Its calls raise AzureError for a body that is larger than MAX_BYTES, or in several encodings."""

    def __init__(self, outbound: Outbound = DIRECT, **options: Any) -> None:
        super().__init__(outbound, **options)
        self.response_class = _BoundedResponse


class _BoundedResponse(aiohttp.ClientResponse):
    async def read(self) -> bytes:
        """Return the body as it was sent. Raises aiohttp.ClientPayloadError."""
        if self._body is None:
            parts: list[bytes] = []
            body = await read_body(self._collect(parts), self.headers.get("Content-Encoding", ""), MAX_BYTES)
            if error := body.error or ("its body is too large" if body.is_truncated else ""):
                self.close()
                raise aiohttp.ClientPayloadError(f"the response cannot be read: {error}")
            self._body = b"".join(parts)
        return await super().read()

    async def _collect(self, parts: list[bytes]) -> AsyncIterator[bytes]:
        async for part in self.content.iter_any():
            parts.append(part)
            yield part


TENANT_VARIABLE = "AZURE_TENANT_ID"
CLIENT_SECRET_FILE_VARIABLE = CLIENT_SECRET_VARIABLE + FILE_SUFFIX


class ClientSecretFileCredential:
    """An AsyncTokenCredential. It reads the file for each token, so that a rotated secret needs no restart."""

    def __init__(self, environ: Mapping[str, str], outbound: Outbound = DIRECT, **options: Any) -> None:
        """`options`: of the library's credential, such as `authority`."""
        self._environ = environ
        self._outbound = outbound
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
            options = {"transport": BoundedTransport(self._outbound), **self._options}
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
