"""The interface of exporters, and the one that skips events of the scheduler itself for another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from observability.events import LogLine, ProgramEvent, TelemetryEvent

APPLICATION_INSIGHTS = "application_insights"
DATADOG = "datadog"
OTLP = "otlp"

ExporterState = Literal["off", "on", "degraded"]


@dataclass(frozen=True, slots=True)
class SpoolState:
    """`requests` and `size` (bytes) wait since `oldest`. `problem`: why they wait in memory, not on disk."""

    requests: int = 0
    size: int = 0
    oldest: datetime | None = None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class ExporterHealth:
    """`degraded`: the last delivery failed, or events were dropped since the last one that succeeded.

    `last_error` is a redacted message, retained after recovery; `sent` counts what the destination accepted, in its
    items (rows, points, checks, log entries, spans); `dropped` counts lost events. `spool`: the requests that wait.
    """

    exporter: str
    state: ExporterState
    last_error: str = ""
    sent: int = 0
    dropped: int = 0
    spool: SpoolState = SpoolState()


class Exporter(Protocol):
    @property
    def name(self) -> str: ...

    def start(self) -> None:
        """Begin to deliver, in the background. Returns at once."""
        ...

    def offer(self, event: TelemetryEvent) -> None:
        """Take the event, or drop and count it. Returns at once, whatever the other end does."""
        ...

    def health(self) -> ExporterHealth: ...

    async def aclose(self, timeout: float) -> None:  # noqa: ASYNC109  # part of the contract
        """Deliver what is queued and end, within `timeout` seconds. What is left then is dropped."""
        ...


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
