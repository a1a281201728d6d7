"""Sends to Datadog: metrics, distributions, a service check a job, and the log's lines.

`build_datadog_exporter` is called by telemetry. The client is synchronous and does not retry: the outbox does.
Its modules are imported in the exporter's thread, one by one (all its models take more than a second).
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from observability.events import TelemetryEvent
from observability.exporters.background import BackgroundExporter, DeliveryCounts, ShutdownSignal
from observability.exporters.datadog.client import DatadogClient, DatadogIntake
from observability.exporters.datadog.intakes import RETRY_WINDOW, DatadogSource
from observability.exporters.datadog.payloads import build_payloads
from observability.exporters.pacing import Pace
from observability.exporters.port import DATADOG
from observability.exporters.spool.outbox import Outbox, RequestIntake
from observability.exporters.spool.spool import Spool
from observability.service_name import find_datadog_service

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor

_GATHER_SECONDS = 10.0
_URGENT_QUEUE_SIZE = 2_000


def build_datadog_exporter(
    settings: Settings,
    api_key: str,
    redactor: Redactor,
    spool: Spool | None = None,
    *,
    gather_seconds: float = _GATHER_SECONDS,
) -> BackgroundExporter:
    """`spool`: None retains requests in memory. `gather_seconds`: seconds between deliveries."""
    options = settings.datadog
    identity = DatadogSource(
        env=settings.datadog_env,
        service=find_datadog_service(settings, os.environ),
        version=options.version or settings.version or "unknown",
        host=socket.gethostname(),
    )
    delivery = DatadogDelivery(identity, api_key, options.site, options.url, redactor, spool or Spool())
    return BackgroundExporter(
        DATADOG, delivery, redactor, gather_seconds=gather_seconds, urgent_size=_URGENT_QUEUE_SIZE
    )


class DatadogDelivery:
    """Blocking; see background.Delivery. Each intake has its requests, so that none delays the others."""

    def __init__(
        self, source: DatadogSource, api_key: str, site: str, url: str | None, redactor: Redactor, spool: Spool
    ) -> None:
        self._source = source
        self._api_key = api_key
        self._site = site
        self._url = url
        self._redactor = redactor
        self._spool = spool
        self._last_at = 0

    def open(self, counts: DeliveryCounts, closing: ShutdownSignal, pace: Pace) -> None:
        self._pace = pace
        self._client = DatadogClient(self._api_key, self._site, self._url)
        intakes: dict[str, RequestIntake] = {kind: DatadogIntake(kind, self._client, pace) for kind in RETRY_WINDOW}
        self._outbox = Outbox(intakes, self._spool, counts, closing)

    def deliver(self, events: list[TelemetryEvent]) -> None:
        # Points of the same second replace each other: two deliveries never share a second.
        self._last_at = max(int(time.time()), self._last_at + 1)
        for payload in build_payloads(events, self._source, self._last_at, self._redactor, self._pace):
            self._outbox.put(payload.to_request(self._pace))
        self._outbox.send_due()

    def next_delivery_in(self) -> float | None:
        return self._outbox.next_send_in()

    def close(self) -> None:
        self._outbox.close()
        self._client.close()
