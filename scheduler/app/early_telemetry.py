"""Telemetry before the program is open, which reports a failed start. Used by the hosts and by foundation."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.settings.loading import load_telemetry_settings
from config.settings.model import Settings
from jobs.redaction import Redactor
from observability.logs import configure_logging
from observability.telemetry import Telemetry, build_telemetry, has_exporters
from scheduler.version import VERSION

START_REPORT_TIMEOUT = 10.0
"""Seconds to send the report of a failed start, including the import and start of the SDKs."""


@dataclass(frozen=True, slots=True)
class EarlyTelemetry:
    """Telemetry that has started, with its redactor."""

    settings: Settings
    telemetry: Telemetry
    redactor: Redactor


def start_telemetry(environ: Mapping[str, str], *, root: Path, start_level: int = logging.INFO) -> EarlyTelemetry:
    """Start the exporters of the settings that can be read. `start_level`: log level of JOB_STARTED."""
    settings = load_telemetry_settings(environ, root=root)
    settings = settings.model_copy(update={"version": settings.version or VERSION})
    redactor = Redactor()
    telemetry = build_telemetry(settings, redactor, start_level=start_level)
    telemetry.start()
    return EarlyTelemetry(settings, telemetry, redactor)


def configure_functions_logging(started: EarlyTelemetry) -> None:
    """Set the format of the worker's log handlers before the program is open: exporters' threads may log already."""
    log = started.settings.log
    configure_logging(level=log.level, format=log.format, runs=log.runs, redactor=started.redactor, stream=None)


def report_failed_start(environ: Mapping[str, str], *, root: Path, host: str, reason: str) -> None:
    """Send one record about a failed start and wait until it is sent. Without exporters it does nothing.

    For a process that then ends. Nothing is logged: the command prints the cause.
    """
    settings = load_telemetry_settings(environ, root=root)
    if not has_exporters(settings):
        return
    asyncio.run(_report(environ, root, host, reason))


async def _report(environ: Mapping[str, str], root: Path, host: str, reason: str) -> None:
    started = start_telemetry(environ, root=root)
    started.telemetry.start_failed(host=host, reason=reason, to_log=False)
    await started.telemetry.aclose(START_REPORT_TIMEOUT)
