"""Sends bodies to the endpoints of OTLP over HTTP. Used by otlp.delivery.

Statuses and answers: https://opentelemetry.io/docs/specs/otlp/#otlphttp.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import httpx

from jobs.formats.display_text import escape_control_characters
from jobs.responses.reading import BlockingClient, ReceivedResponse
from observability.exporters.otlp.bodies import is_compressed, read_partial_success, split_body
from observability.exporters.retry_after import read_required_wait
from observability.exporters.spool.outbox import SendResult
from observability.exporters.spool.request import SpooledRequest

_RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})
"""According to the specification; after any other one a retry is not allowed."""
_MIN_TIMEOUT_S: Final = 0.05
_MAX_ANSWER_BYTES: Final = 64 * 1024
_MAX_MESSAGE_LENGTH: Final = 300


class OtlpClient:
    """Connections to the endpoints. `headers` may contain secrets; they are sent with every request."""

    def __init__(self, headers: Mapping[str, str], ca_file: Path | None, version: str) -> None:
        """Raises OSError or ssl.SSLError if the file cannot be used."""
        self._client = BlockingClient(
            httpx.AsyncClient(
                headers={"User-Agent": f"scheduler/{version}", **headers, "Content-Type": "application/x-protobuf"},
                verify=True if ca_file is None else ssl.create_default_context(cafile=str(ca_file)),
            )
        )

    def close(self) -> None:
        self._client.close()

    def export(self, url: str, body: bytes, timeout: float) -> ReceivedResponse:
        """Return the response. Raises httpx.HTTPError and TimeoutError."""
        encoding = {"Content-Encoding": "gzip"} if is_compressed(body) else {}
        return self._client.fetch(
            "POST", url, limit=_MAX_ANSWER_BYTES, timeout_s=timeout, headers=encoding, content=body
        )


class OtlpIntake:
    """One signal; see outbox.RequestIntake."""

    def __init__(self, signal: str, url: str, client: OtlpClient) -> None:
        self._signal = signal
        self._url = url
        self._client = client

    def send(self, request: SpooledRequest, timeout: float) -> SendResult:
        if timeout < _MIN_TIMEOUT_S:
            return SendResult(reason="the program stops before it could be sent", is_temporary=True)
        try:
            response = self._client.export(self._url, request.body, timeout)
        except (httpx.HTTPError, OSError) as error:
            return SendResult(reason=f"{type(error).__name__}: {error}", is_temporary=True)
        status = response.status
        if response.is_success:
            rejected, message = read_partial_success(self._signal, response.body)
            rejected = min(rejected, request.items)
            reason = f"rejected {rejected} of {request.items} items: {_shorten(message)}" if rejected else ""
            return SendResult(request.items - rejected, rejected, reason)
        if status in _RETRIED_STATUSES:
            retry_after = read_required_wait(response.headers)
            return SendResult(reason=f"answered {status}", is_temporary=True, retry_after_s=retry_after)
        return SendResult(rejected=request.items, reason=f"answered {status}", is_too_large=status == 413)

    def split(self, request: SpooledRequest) -> Sequence[SpooledRequest]:
        return [
            SpooledRequest(request.intake, body, items, request.made_at, request.expires_at)
            for body, items in split_body(self._signal, request.body)
        ]


def _shorten(message: str) -> str:
    return escape_control_characters(message[:_MAX_MESSAGE_LENGTH])
