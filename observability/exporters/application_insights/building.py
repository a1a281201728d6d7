"""Builds the exporter of Application Insights. Called by observability.telemetry."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from observability.exporters.background import BackgroundExporter
from observability.exporters.port import APPLICATION_INSIGHTS
from observability.exporters.spool.spool import Spool
from observability.service_name import find_cloud_role

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor
from observability.exporters.application_insights.delivery import ApplicationInsightsDelivery

_GATHER_SECONDS = 5.0


_URGENT_QUEUE_SIZE = 500


def build_application_insights_exporter(
    settings: Settings,
    connection_string: str,
    redactor: Redactor,
    spool: Spool | None = None,
    *,
    gather_seconds: float = _GATHER_SECONDS,
) -> BackgroundExporter:
    """`spool`: None retains requests in memory. `gather_seconds`: seconds between deliveries."""
    delivery = ApplicationInsightsDelivery(
        connection_string,
        environment=settings.environment,
        version=settings.version or "unknown",
        role=find_cloud_role(settings, os.environ),
        redactor=redactor,
        spool=spool or Spool(),
        max_age=settings.telemetry.spool.max_age,
    )
    return BackgroundExporter(
        APPLICATION_INSIGHTS, delivery, redactor, gather_seconds=gather_seconds, urgent_size=_URGENT_QUEUE_SIZE
    )
