"""The interface of exporters. Implemented by background.BackgroundExporter and by tests."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from observability.events import TelemetryEvent

APPLICATION_INSIGHTS = "application_insights"
DATADOG = "datadog"

ExporterState = Literal["off", "on", "degraded"]


@dataclass(frozen=True, slots=True)
class ExporterHealth:
    """`degraded`: the last delivery failed, or events were dropped since the last one that succeeded.

    `last_error` is a redacted message, retained after recovery; `sent` counts what the destination accepted, in its
    items (rows, points, checks, log entries); `dropped` counts lost events.
    """

    exporter: str
    state: ExporterState
    last_error: str = ""
    sent: int = 0
    dropped: int = 0


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
