"""The transport of Azure's asynchronous clients with limited bodies: their own reads and decompresses without a limit.

Used by config.identity and config.secrets.key_vault, which limit the time of each call.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import AioHttpTransport

from jobs.responses import read_body

MAX_BYTES = 256 * 1024
"""Of a token, or of a secret, which has at most 25 KB."""

UNUSABLE_RESPONSE = (AzureError, ValueError, TypeError, LookupError, AttributeError, RecursionError)
"""What Azure's clients raise for a response that they expect in another form."""


class BoundedTransport(AioHttpTransport):  # type: ignore[misc] # its package gives it without a type
    """Its calls raise AzureError for a body that is larger than MAX_BYTES, or in several encodings."""

    session: aiohttp.ClientSession | None

    async def open(self) -> None:
        if self.session is None and not self._has_been_opened:
            self.session = aiohttp.ClientSession(
                trust_env=True,
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,  # the library decompresses one encoding
                response_class=_BoundedResponse,
            )
        await super().open()


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
