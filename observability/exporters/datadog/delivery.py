"""Sends to Datadog: metrics, distributions, a service check a job, and the log's lines.

`build_datadog_exporter` is called by telemetry. The client is synchronous and does not retry, compress or time out, so this
module does; its modules are imported in the exporter's thread, one by one (all its models take more than a second).
"""

from __future__ import annotations

import email.utils
import os
import random
import socket
import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from observability.events import TelemetryEvent
from observability.exporters.background import BackgroundExporter, DeliveryCounts, ShutdownSignal
from observability.exporters.datadog.payloads import (
    RETRY_WINDOW,
    DatadogSource,
    IntakeEntry,
    IntakeKind,
    IntakePayload,
    build_payloads,
)
from observability.exporters.port import DATADOG
from observability.service_name import find_datadog_service

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor

_GATHER_SECONDS = 10.0
_URGENT_QUEUE_SIZE = 2_000
_REQUEST_TIMEOUT_S = 5.0
_MAX_BACKOFF_S = 60.0
_MIN_TIMEOUT_S = 0.05
_MAX_QUEUED_ENTRIES = 10_000
"""Entries that wait for an intake at most: the oldest are dropped."""
_RETRIED_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


def build_datadog_exporter(
    settings: Settings, api_key: str, redactor: Redactor, *, gather_seconds: float = _GATHER_SECONDS
) -> BackgroundExporter:
    """`gather_seconds`: seconds between deliveries while there is something to deliver."""
    options = settings.datadog
    identity = DatadogSource(
        env=settings.datadog_env,
        service=find_datadog_service(settings, os.environ),
        version=options.version or settings.version or "unknown",
        host=socket.gethostname(),
    )
    delivery = DatadogDelivery(identity, api_key, options.site, options.url, redactor)
    return BackgroundExporter(
        DATADOG, delivery, redactor, gather_seconds=gather_seconds, urgent_size=_URGENT_QUEUE_SIZE
    )


class DatadogDelivery:
    """Blocking; see background.Delivery. Each intake has a queue, so that none delays the others."""

    def __init__(self, source: DatadogSource, api_key: str, site: str, url: str | None, redactor: Redactor) -> None:
        self._source = source
        self._api_key = api_key
        self._site = site
        self._url = url
        self._redactor = redactor
        self._last_at = 0

    def open(self, counts: DeliveryCounts, closing: ShutdownSignal) -> None:
        intake = DatadogIntake(self._api_key, self._site, self._url)
        self._close = intake.close
        self._queues = {kind: IntakeQueue(kind, intake, counts, closing) for kind in RETRY_WINDOW}

    def deliver(self, events: list[TelemetryEvent]) -> None:
        # Points of the same second replace each other: two deliveries never share a second.
        self._last_at = max(int(time.time()), self._last_at + 1)
        for payload in build_payloads(events, self._source, self._last_at, self._redactor):
            self._queues[payload.kind].enqueue(payload)
        for lane in self._queues.values():
            lane.send_due()

    def next_delivery_in(self) -> float | None:
        waits = [wait for lane in self._queues.values() if (wait := lane.next_send_in()) is not None]
        return min(waits, default=None)

    def close(self) -> None:
        self._close()


class Intake(Protocol):
    def submit(self, payload: IntakePayload, timeout: float) -> IntakeRejection | None:
        """One call, within `timeout` seconds. None: accepted."""
        ...


class IntakeQueue:
    """The payloads for one intake, in order. Temporarily rejected ones stay queued for their retry window."""

    def __init__(self, kind: IntakeKind, intake: Intake, counts: DeliveryCounts, closing: ShutdownSignal) -> None:
        self._kind = kind
        self._intake = intake
        self._counts = counts
        self._closing = closing
        self._queued: deque[IntakePayload] = deque()
        self._entries = 0
        self._failures = 0
        self._not_before = 0.0

    def enqueue(self, payload: IntakePayload) -> None:
        self._queued.append(payload)
        self._entries += len(payload.entries)
        while self._entries > _MAX_QUEUED_ENTRIES and len(self._queued) > 1:
            self._drop_first()

    def next_send_in(self) -> float | None:
        """Return the seconds until the next payload is due; None while the queue is empty."""
        return max(0.0, self._not_before - time.monotonic()) if self._queued else None

    def send_due(self) -> None:
        """Send all due payloads. At the shutdown, send each one once more."""
        while self._queued and (time.monotonic() >= self._not_before or self._closing.is_started):
            payload = self._queued[0]
            if time.time() - payload.made_at > RETRY_WINDOW[self._kind]:
                self._drop_first()
                continue
            refusal = self._intake.submit(payload, self._closing.remaining_seconds(_REQUEST_TIMEOUT_S))
            if refusal is None:
                self._failures = 0
                self._counts.record_success(len(self._pop_first().entries), self._kind)
            elif refusal.status == 413 and len(payload.entries) > 1:
                self._push_first(*self._pop_first().split_in_halves())
            else:
                self._handle_rejection(refusal)

    def _handle_rejection(self, refusal: IntakeRejection) -> None:
        self._counts.record_failure(f"{self._kind}: {refusal.reason}", self._kind)
        if not refusal.is_temporary or self._closing.is_started:
            self._drop_first()
            return
        self._failures += 1
        wait = refusal.retry_after_s if refusal.retry_after_s is not None else _compute_backoff(self._failures)
        self._not_before = time.monotonic() + wait

    def _pop_first(self) -> IntakePayload:
        payload = self._queued.popleft()
        self._entries -= len(payload.entries)
        return payload

    def _push_first(self, *payloads: IntakePayload) -> None:
        for payload in reversed(payloads):
            self._queued.appendleft(payload)
            self._entries += len(payload.entries)

    def _drop_first(self) -> None:
        self._counts.record_drop(len(self._pop_first().entries))


class IntakeRejection:
    """Why the intake rejected a payload. `is_temporary`: it can accept it later, after `retry_after_s` seconds if given."""

    def __init__(self, reason: str, status: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.reason = reason
        self.status = status
        self.is_temporary = status is None or status in _RETRIED_STATUSES
        self.retry_after_s = _read_retry_after(headers or {})


class DatadogIntake:
    """Datadog's client for single calls, without retries, within a timeout."""

    def __init__(self, api_key: str, site: str, url: str | None) -> None:
        from datadog_api_client import ApiClient, Configuration
        from datadog_api_client.v1.api.metrics_api import MetricsApi as MetricsApiV1
        from datadog_api_client.v1.api.service_checks_api import ServiceChecksApi
        from datadog_api_client.v1.model.distribution_points_content_encoding import DistributionPointsContentEncoding
        from datadog_api_client.v2.api.logs_api import LogsApi
        from datadog_api_client.v2.api.metrics_api import MetricsApi
        from datadog_api_client.v2.model.content_encoding import ContentEncoding
        from datadog_api_client.v2.model.metric_content_encoding import MetricContentEncoding

        # The client's constructors have no types, and its methods only those of the models that we do without.
        make: Mapping[str, Any] = {
            "configuration": Configuration,
            "series": MetricsApi,
            "distributions": MetricsApiV1,
            "checks": ServiceChecksApi,
            "logs": LogsApi,
        }
        self._configuration = make["configuration"](
            api_key={"apiKeyAuth": api_key},
            host=url.rstrip("/") if url else None,
            check_input_type=False,
            check_return_type=False,
            retry_policy=False,  # urllib3 would retry three times, each with the whole timeout
        )
        if not url:
            self._configuration.server_variables["site"] = site
        self._client = client = ApiClient(self._configuration)
        series, distributions = make["series"](client), make["distributions"](client)
        checks, logs = make["checks"](client), make["logs"](client)
        self._calls: Mapping[IntakeKind, Callable[[list[IntakeEntry]], object]] = {
            "series": lambda entries: series.submit_metrics(
                {"series": entries}, content_encoding=MetricContentEncoding.GZIP
            ),
            "distributions": lambda entries: distributions.submit_distribution_points(
                {"series": entries}, content_encoding=DistributionPointsContentEncoding.DEFLATE
            ),
            "checks": checks.submit_service_check,
            "logs": lambda entries: logs.submit_log(entries, content_encoding=ContentEncoding.GZIP),
        }

    def submit(self, payload: IntakePayload, timeout: float) -> IntakeRejection | None:
        from datadog_api_client.exceptions import ApiException
        from urllib3.exceptions import HTTPError

        if timeout < _MIN_TIMEOUT_S:
            return IntakeRejection("the program stops before it could be sent")
        self._configuration.request_timeout = timeout
        try:
            self._calls[payload.kind](list(payload.entries))
        except ApiException as error:
            return IntakeRejection(f"answered {error.status} {error.reason}", error.status or None, error.headers)
        except (HTTPError, OSError) as error:
            return IntakeRejection(f"{type(error).__name__}: {error}")
        return None

    def close(self) -> None:
        self._client.close()


def _compute_backoff(failures: int) -> float:
    return float(min(_MAX_BACKOFF_S, 2.0 ** (failures - 1))) * random.uniform(0.5, 1.0)


def _read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds: Datadog's own header first, which its client knows as well; then the standard one, which it ignores."""
    lower = {name.lower(): value for name, value in headers.items()}
    text = lower.get("x-ratelimit-reset") or lower.get("retry-after")
    if text is None:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        return _seconds_until(text)


def _seconds_until(http_date: str) -> float | None:
    try:
        return max(0.0, email.utils.parsedate_to_datetime(http_date).timestamp() - time.time())
    except ValueError:
        return None
