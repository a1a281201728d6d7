"""Builds the exporter of OTLP. Called by observability.telemetry."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

from observability.exporters.background import BackgroundExporter
from observability.exporters.otlp.delivery import OtlpDelivery, OtlpOptions
from observability.exporters.port import OTLP
from observability.exporters.spool.spool import Spool
from observability.service_name import find_cloud_role

if TYPE_CHECKING:
    from config.settings.model import Settings
    from jobs.redaction import Redactor

_GATHER_SECONDS = 5.0
_URGENT_QUEUE_SIZE = 1_000


def build_otlp_exporter(
    settings: Settings, redactor: Redactor, spool: Spool | None = None, *, gather_seconds: float = _GATHER_SECONDS
) -> BackgroundExporter:
    """`spool`: None retains requests in memory. `gather_seconds`: seconds between deliveries."""
    otlp, version = settings.otlp, settings.version or "unknown"
    options = OtlpOptions(
        endpoints=otlp.endpoints(),
        headers=otlp.header_values(),
        resource={
            "service.name": find_cloud_role(settings, os.environ),
            "service.version": version,
            # Two processes must not write to one cumulative series.
            "service.instance.id": f"{socket.gethostname()}:{os.getpid()}",
            "deployment.environment.name": settings.environment,
        },
        version=version,
        is_delta=otlp.temporality != "cumulative",
        histograms=otlp.histograms,
        is_compressed=otlp.compression == "gzip",
        ca_file=otlp.ca_file,
        metric_interval=otlp.interval,
        max_age=settings.telemetry.spool.max_age,
    )
    delivery = OtlpDelivery(options, spool or Spool(), redactor)
    return BackgroundExporter(OTLP, delivery, redactor, gather_seconds=gather_seconds, urgent_size=_URGENT_QUEUE_SIZE)
