"""Forwards the log's warnings to the exporters. Used by observability.telemetry."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobs.request_id import current_request_id
from observability import names
from observability.events import LogLine, TelemetryEvent
from observability.log_event import LogEvent
from observability.logs.own_handler import OwnHandler

if TYPE_CHECKING:
    pass


# Their warnings are about sending telemetry, which must not become telemetry.
_UNFORWARDED_LOGGERS = ("observability", "azure", "opentelemetry", "urllib3", "datadog_api_client")


class _WarningForwarder(OwnHandler):
    """Passes warnings and worse of the whole program on; run events are passed on by themselves, with more in them."""

    def __init__(self, offer: Callable[[TelemetryEvent], None]) -> None:
        super().__init__(logging.WARNING)
        self._forward = offer

    def emit(self, record: logging.LogRecord) -> None:
        if isinstance(record.msg, LogEvent) or record.name.split(".", 1)[0] in _UNFORWARDED_LOGGERS:
            return
        info = record.exc_info
        exc_info = (info[0], info[1], info[2]) if info is not None and info[0] is not None else None
        at = datetime.fromtimestamp(record.created, UTC)
        line = LogLine(
            at,
            record.levelno,
            record.name,
            record.getMessage(),
            values={names.REQUEST_ID: request_id} if (request_id := current_request_id()) else {},
            exc_info=exc_info,
            exc_text=record.exc_text or "",
        )
        self._forward(line)
