"""Reads the responses of Datadog's client within limits: the client itself decompresses all that an endpoint sends.

Used by observability.exporters.datadog.client and observability.generation.datadog.api.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.responses.reading import IDENTITY_HEADERS, read_blocking

_PART_BYTES = 16 * 1024
_BODY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class DatadogResponse:
    """What Datadog's client reads of a response. `error`: why the body is not complete; empty if it is."""

    status: int
    reason: str
    headers: Mapping[str, str]
    data: bytes
    error: str


def limit_bodies(client: Any, limit: int) -> None:
    """Let a client of Datadog (ApiClient, without types) read at most `limit` bytes of each body."""
    client.rest_client.pool_manager = _BoundedPool(client.rest_client.pool_manager, limit)


class _BoundedPool:
    """The part of urllib3's pool manager that Datadog's client uses."""

    def __init__(self, pool: Any, limit: int) -> None:
        self._pool = pool
        self._limit = limit

    def clear(self) -> None:
        self._pool.clear()

    def request(self, method: str, url: str, *, headers: Mapping[str, str], **options: Any) -> DatadogResponse:
        """Return the response. Raises urllib3's HTTPError and OSError."""
        sent = {name: value for name, value in headers.items() if name.lower() != "accept-encoding"}
        options |= {"preload_content": False, "decode_content": False}
        response = self._pool.request(method, url, headers=sent | IDENTITY_HEADERS, **options)
        try:
            body = read_blocking(
                response.stream(_PART_BYTES, decode_content=False),
                response.headers.get("content-encoding", ""),
                self._limit,
                time.monotonic() + _BODY_SECONDS,
            )
        except BaseException:
            response.close()
            raise
        error = body.error or ("its body is too large" if body.is_truncated else "")
        if error:
            response.close()  # the connection has the rest of the body
        response.release_conn()
        # The client decodes the body of an error without a check.
        data = body.content.decode("utf-8", "replace").encode()
        return DatadogResponse(response.status, response.reason or "", response.headers, data, error)
