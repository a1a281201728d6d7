"""Sends to Datadog: metrics, distributions, a service check a job, and the log's lines.

`build_datadog_exporter` is called by telemetry. The client is synchronous and does not retry, compress or time out, so
this module does; its modules are imported in the exporter's thread, one by one (all its models take more than a
second).
"""

from __future__ import annotations

import os
import random
import socket
import time
from collections import deque
from typing import TYPE_CHECKING, Protocol

from observability.events import TelemetryEvent
from observability.exporters.background import BackgroundExporter, DeliveryCounts, ShutdownSignal
from observability.exporters.datadog.client import DatadogIntake, IntakeRejection
from observability.exporters.datadog.intakes import RETRY_WINDOW, DatadogSource, IntakeKind, IntakePayload
from observability.exporters.datadog.payloads import build_payloads
from observability.exporters.port import DATADOG
from observability.service_name import find_datadog_service

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor

_GATHER_SECONDS = 10.0
_URGENT_QUEUE_SIZE = 2_000
_REQUEST_TIMEOUT_S = 5.0
_MAX_BACKOFF_S = 60.0
_MAX_QUEUED_ENTRIES = 10_000
"""Entries that wait for an intake at most: the oldest are dropped."""


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


def _compute_backoff(failures: int) -> float:
    return float(min(_MAX_BACKOFF_S, 2.0 ** (failures - 1))) * random.uniform(0.5, 1.0)
