"""Exporters and deliveries that note what they get, for the tests of what is above them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from observability.events import TelemetryEvent
from observability.exporters.background import DeliveryCounts, ExporterHealth, Pace, ShutdownSignal


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something that happens in another thread."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # threads do not set asyncio's events
            await asyncio.sleep(0.001)


class RecordingExporter:
    """Keeps what it is offered; raises instead when told to."""

    def __init__(self, name: str = "noting", *, broken: bool = False) -> None:
        self.name = name
        self.broken = broken
        self.events: list[TelemetryEvent] = []
        self.calls: list[str] = []

    def start(self) -> None:
        self.calls.append("start")

    def offer(self, event: TelemetryEvent) -> None:
        if self.broken:
            raise RuntimeError("broken")
        self.events.append(event)

    def health(self) -> ExporterHealth:
        return ExporterHealth(self.name, "on", "", len(self.events), 0)

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  # the port has it
        self.calls.append(f"aclose {timeout}")
        if self.broken:
            raise RuntimeError("broken")


class RecordingDelivery:
    """Keeps what it is handed. `gate`: deliveries wait until it is set; `fails`: what a delivery raises."""

    def __init__(self, *, fails: Callable[[], Exception] | None = None, cannot_open: Exception | None = None) -> None:
        self.batches: list[list[TelemetryEvent]] = []
        self.closed = False
        self.gate = threading.Event()
        self.gate.set()
        self.opened = threading.Event()
        self.delivering = threading.Event()
        self.delay: float | None = None
        self._fails = fails
        self._cannot_open = cannot_open

    @property
    def events(self) -> list[TelemetryEvent]:
        return [event for batch in self.batches for event in batch]

    def open(self, tally: DeliveryCounts, closing: ShutdownSignal, pace: Pace) -> None:
        self._tally, self.closing = tally, closing
        self.opened.set()
        if self._cannot_open is not None:
            raise self._cannot_open

    def deliver(self, events: list[TelemetryEvent]) -> None:
        self.delivering.set()
        self.gate.wait(10)
        if self._fails is not None and events:
            raise self._fails()
        self.batches.append(events)
        if events:
            self._tally.record_success(len(events))

    def next_delivery_in(self) -> float | None:
        return self.delay

    def close(self) -> None:
        self.closed = True
