"""Builds telemetry with the exporters that have their setting. Called by scheduler.app."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from observability.exporters.port import APPLICATION_INSIGHTS, DATADOG, Exporter

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor
from observability.telemetry import Telemetry


def build_telemetry(settings: Settings, redactor: Redactor, *, start_level: int = logging.INFO) -> Telemetry:
    """Telemetry with the exporters that have their setting; nothing of any other is even imported."""
    exporters: list[Exporter] = []
    off = []
    if (secret := settings.application_insights.connection_string) is not None:
        from observability.exporters.application_insights.building import build_application_insights_exporter

        text = secret.get_secret_value()
        redactor.add_permanent(text)
        exporters.append(build_application_insights_exporter(settings, text, redactor))
    else:
        off.append(APPLICATION_INSIGHTS)
    if (secret := settings.datadog.api_key) is not None:
        from observability.exporters.datadog.delivery import build_datadog_exporter

        text = secret.get_secret_value()
        redactor.add_permanent(text)
        exporters.append(build_datadog_exporter(settings, text, redactor))
    else:
        off.append(DATADOG)
    return Telemetry(
        exporters,
        disabled=off,
        environment=settings.environment,
        version=settings.version or "unknown",
        reporting=settings.telemetry,
        start_level=start_level,
        redactor=redactor,
    )
