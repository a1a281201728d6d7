"""The interface of exporters. Implemented by background.BackgroundExporter and by tests."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from observability.events import TelemetryEvent

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
