"""Takes the requests of the Azure Monitor SDK into the spool, and sends them.

The SDK has its own storage, which drops what is too old or too much without a count, sends at most ten files after
each success, and locks a file by its name for a minute, so that two processes can send it. So the last step of
its exporters is replaced: they hand over their rows. With other names in a new version of the SDK nothing is replaced,
and its own storage is used.
"""

from __future__ import annotations

import io
import json
import threading
import time
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from observability.exporters.background import DeliveryCounts, Pace, ShutdownSignal, encode_list
from observability.exporters.outbox import Outbox, SendResult, read_required_wait
from observability.exporters.spool import Spool
from observability.exporters.spool_folder import SpooledRequest

INTAKE: Final = "track"

_RETRIED_STATUSES: Final = frozenset({401, 403, 408, 429, 500, 502, 503, 504})
"""Answers, to a request or about a row, after which the SDK would send again. 439, the daily quota, is final."""
_MIN_TIMEOUT_S: Final = 0.05
_MAX_REDIRECTS: Final = 3

Row = dict[str, Any]


def can_take_over() -> bool:
    """Return whether the exporters of this version of the SDK have the step that is replaced."""
    from azure.monitor.opentelemetry.exporter.export._base import BaseExporter

    return all(hasattr(BaseExporter, name) for name in ("_transmit", "_is_same_registered_domain"))


def open_outbox(
    exporters: Sequence[Any], spool: Spool, max_age: float, counts: DeliveryCounts, closing: ShutdownSignal, pace: Pace
) -> Outbox:
    """Let the SDK's exporters hand over their rows. `max_age`: seconds after which a request that waits is dropped.

    They do it for metrics in a thread of the SDK. Raises RuntimeError without exporters.
    """
    from azure.monitor.opentelemetry.exporter.export._base import ExportResult

    if not exporters:
        raise RuntimeError("the SDK has no exporters where this version of the program expects them")
    outbox = Outbox({INTAKE: TrackIntake(exporters[0], pace)}, spool, counts, closing)
    own_thread = threading.get_ident()

    def transmit(envelopes: Sequence[Any], *_: object, **__: object) -> Any:
        if envelopes:
            now = time.time()
            body = encode_rows((envelope.as_dict() for envelope in envelopes), pace)
            outbox.put(SpooledRequest(INTAKE, body, len(envelopes), now, now + max_age))
            if threading.get_ident() != own_thread:
                closing.wake()
        return ExportResult.SUCCESS

    for exporter in exporters:
        exporter._transmit = transmit
    return outbox


def encode_rows(rows: Iterable[Row], pace: Pace) -> bytes:
    """Return the body that waits: compressed JSON, without the key of the destination."""
    return zlib.compress(encode_list(({**row, "iKey": ""} for row in rows), pace), level=1)


def decode_rows(body: bytes) -> list[Row]:
    rows: list[Row] = json.loads(zlib.decompress(body))
    return rows


class TrackIntake:
    """The ingestion endpoint; see outbox.RequestIntake. `exporter`: of the SDK, whose client is used."""

    def __init__(self, exporter: Any, pace: Pace) -> None:
        self._exporter = exporter
        self._pace = pace
        self._client = exporter.client
        self._key = exporter._instrumentation_key

    def send(self, request: SpooledRequest, timeout: float) -> SendResult:
        from azure.core.exceptions import AzureError, HttpResponseError

        if timeout < _MIN_TIMEOUT_S:
            return SendResult(reason="the program stops before it could be sent", is_temporary=True)
        rows = decode_rows(request.body)
        try:
            return read_receipt(request, rows, self._track(rows, timeout), self._pace)
        except HttpResponseError as error:
            headers = getattr(error.response, "headers", None) or {}
            return describe_error_answer(request, error.status_code or 0, headers)
        except AzureError as error:
            return SendResult(reason=f"cannot be reached: {error}", is_temporary=True)
        except (ValueError, TypeError, AttributeError, RecursionError) as error:  # of the SDK: no receipt
            return SendResult(reason=f"answered without a receipt: {type(error).__name__}", is_temporary=True)

    def split(self, request: SpooledRequest) -> Sequence[SpooledRequest]:
        rows = decode_rows(request.body)
        middle = len(rows) // 2
        halves = (rows[:middle], rows[middle:]) if middle else ()
        return [replace(request, body=encode_rows(half, self._pace), items=len(half)) for half in halves]

    def _track(self, rows: list[Row], timeout: float) -> Any:
        """Send once, following redirects to the same service. Return the receipt. Raises AzureError."""
        from azure.core.exceptions import HttpResponseError

        body = encode_list(({**row, "iKey": self._key} for row in rows), self._pace)
        for _ in range(_MAX_REDIRECTS):
            try:
                return self._client.track(io.BytesIO(body), connection_timeout=timeout, read_timeout=timeout)
            except HttpResponseError as error:
                if error.status_code not in (307, 308) or not self._follow_redirect(error):
                    raise
        return self._client.track(io.BytesIO(body), connection_timeout=timeout, read_timeout=timeout)

    def _follow_redirect(self, error: Any) -> bool:
        """Use the endpoint of the answer from now on. Return False if it is another service."""
        location = urlsplit(error.response.headers.get("location") or "")
        current = urlsplit(self._client._config.host)
        is_same = self._exporter._is_same_registered_domain(current.netloc, location.netloc)
        if location.scheme != current.scheme or not location.netloc or not is_same:
            return False
        self._client._config.host = f"{location.scheme}://{location.netloc}"
        return True


def read_receipt(request: SpooledRequest, rows: list[Row], receipt: Any, pace: Pace) -> SendResult:
    """Return the result of an accepted request. Rows with a temporary error are sent again, others are rejected."""
    errors = {error.index: error for error in receipt.errors or ()}
    again = [row for index, row in enumerate(rows) if index in errors and _is_temporary(errors[index])]
    accepted = min(int(receipt.items_accepted or 0), len(rows))
    rejected = max(0, len(rows) - accepted - len(again))
    reason = f"rejected {len(errors)} of {len(rows)} rows: {next(iter(errors.values())).message}" if errors else ""
    remainder = replace(request, body=encode_rows(again, pace), items=len(again)) if again else None
    return SendResult(accepted, rejected, reason, remainder=remainder)


def describe_error_answer(request: SpooledRequest, status: int, headers: Mapping[str, str]) -> SendResult:
    """Return the result of a request that was answered with an error."""
    if status in _RETRIED_STATUSES:
        retry_after = read_required_wait(headers)
        return SendResult(reason=f"answered {status}", is_temporary=True, retry_after_s=retry_after)
    return SendResult(rejected=request.items, reason=f"answered {status}", is_too_large=status == 413)


def _is_temporary(error: Any) -> bool:
    return error.status_code in _RETRIED_STATUSES
