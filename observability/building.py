"""Builds telemetry with the exporters that have their setting. Called by scheduler.app."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from observability.exporters.event_filter import select_events
from observability.exporters.port import APPLICATION_INSIGHTS, DATADOG, OTLP, Exporter
from observability.telemetry import Telemetry

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor


def has_exporters(settings: Settings) -> bool:
    """Return whether any exporter has its setting."""
    return bool(
        settings.application_insights.connection_string or settings.datadog.api_key or settings.otlp.endpoints()
    )


def build_telemetry(settings: Settings, redactor: Redactor, *, start_level: int = logging.INFO) -> Telemetry:
    """Telemetry with the exporters that have their setting; nothing of any other is even imported."""
    built = {
        APPLICATION_INSIGHTS: _build_application_insights(settings, redactor),
        DATADOG: _build_datadog(settings, redactor),
        OTLP: _build_otlp(settings, redactor),
    }
    return Telemetry(
        [exporter for exporter in built.values() if exporter is not None],
        disabled=[name for name, exporter in built.items() if exporter is None],
        environment=settings.environment,
        version=settings.version or "unknown",
        reporting=settings.telemetry,
        start_level=start_level,
        redactor=redactor,
    )


def _build_application_insights(settings: Settings, redactor: Redactor) -> Exporter | None:
    if (secret := settings.application_insights.connection_string) is None:
        return None
    from observability.exporters.application_insights.building import build_application_insights_exporter
    from observability.exporters.spool.opening import open_spool

    text = secret.get_secret_value()
    redactor.add_permanent(text)
    spool = open_spool(settings, APPLICATION_INSIGHTS, text)
    exporter = build_application_insights_exporter(settings, text, redactor, spool)
    return select_events(exporter, settings.application_insights.events)


def _build_datadog(settings: Settings, redactor: Redactor) -> Exporter | None:
    if (secret := settings.datadog.api_key) is None:
        return None
    from observability.exporters.datadog.delivery import build_datadog_exporter
    from observability.exporters.spool.opening import open_spool

    text = secret.get_secret_value()
    redactor.add_permanent(text)
    spool = open_spool(settings, DATADOG, settings.datadog.url or settings.datadog.site)
    return select_events(build_datadog_exporter(settings, text, redactor, spool), settings.datadog.events)


def _build_otlp(settings: Settings, redactor: Redactor) -> Exporter | None:
    if not (endpoints := settings.otlp.endpoints()):
        return None
    from observability.exporters.otlp.building import build_otlp_exporter
    from observability.exporters.spool.opening import open_spool

    for value in settings.otlp.header_values().values():
        redactor.add_permanent(value)
    exporter = build_otlp_exporter(settings, redactor, open_spool(settings, OTLP, " ".join(endpoints.values())))
    return select_events(exporter, settings.otlp.events)
