"""Passes the results of notifications on to telemetry. Built by scheduler.app.alerting_setup."""

from __future__ import annotations

from collections.abc import Sequence

from jobs.notifications.outbox import UndeliveredNotification
from observability.telemetry import Telemetry
from scheduler.catalog.catalog import Catalog
from scheduler.watchdog.program_gauges import UNDEFINED_CHANNEL_KIND


class DeliveryTelemetry:
    """Implements scheduler.alerting.delivery.port.DeliveryListener: by kinds, which are few, not by channels."""

    def __init__(self, telemetry: Telemetry, catalog: Catalog) -> None:
        self._metrics, self._events = telemetry.metrics, telemetry.events
        self._catalog = catalog

    def message_sent(self, channel: str) -> None:
        """See DeliveryListener.message_sent."""
        self._metrics.notification_sent(self._kind_of(channel))

    def message_failed(self, channel: str) -> None:
        """See DeliveryListener.message_failed."""
        self._metrics.notification_failed(self._kind_of(channel))

    def notifications_given_up(self, channel: str, letters: Sequence[UndeliveredNotification]) -> None:
        """See DeliveryListener.notifications_given_up."""
        kind, reason = self._kind_of(channel), letters[-1].error
        self._metrics.notifications_given_up(kind, len(letters))
        self._events.notifications_given_up(channel, kind, len(letters), reason)

    def _kind_of(self, channel: str) -> str:
        found = self._catalog.snapshot.alerting.channels.get(channel)
        return UNDEFINED_CHANNEL_KIND if found is None else found.kind
