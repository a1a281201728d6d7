"""Skips events of the scheduler itself for one exporter. Used by observability.telemetry."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

from observability.events import LogLine, ProgramEvent, TelemetryEvent
from observability.exporters.port import Exporter, ExporterHealth


class FilteredExporter:
    """An exporter that gets these events only, and everything that is not an event of the scheduler itself: runs,
    measurements, and the log's warnings. Implements Exporter.
    """

    def __init__(self, exporter: Exporter, events: Collection[str]) -> None:
        self._exporter = exporter
        self._events = frozenset(events)

    @property
    def name(self) -> str:
        return self._exporter.name

    def start(self) -> None:
        self._exporter.start()

    def offer(self, event: TelemetryEvent) -> None:
        """See Exporter.offer."""
        if isinstance(event, (LogLine, ProgramEvent)) and event.name and event.name not in self._events:
            return
        self._exporter.offer(event)

    def health(self) -> ExporterHealth:
        return self._exporter.health()

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  # part of the contract
        await self._exporter.aclose(timeout)


def select_events(exporter: Exporter, events: Literal["all", "none"] | Collection[str]) -> Exporter:
    """Return the exporter with these events of the scheduler itself."""
    if events == "all":
        return exporter
    return FilteredExporter(exporter, () if events == "none" else events)
