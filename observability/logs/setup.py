"""Sets up logging for the whole process. Called once by scheduler.app, before anything logs."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import TYPE_CHECKING, Literal, TextIO

from observability.invocations import InvocationFilter
from observability.logs.formats import JsonFormat, TextFormat
from observability.logs.own_handler import OwnHandler
from observability.logs.request_ids import RequestIdFilter
from observability.logs.writer import LogWriter
from observability.redaction import RedactionFilter

if TYPE_CHECKING:
    from jobs.redaction import Redactor

RUNS_LOGGER = "scheduler.runs"
"""Logs at INFO the runs that start and finish, above what fails."""

LogFormat = Literal["auto", "json", "text"]

# Chatty, or (the HTTP clients and the access log) showing URLs with their query, where secrets may be.
_WARNING_LEVEL_LOGGERS = (
    "aiohttp",
    "asyncio",
    "azure",
    "datadog_api_client",
    "httpcore",
    "httpx",
    "opentelemetry",
    "urllib3",
    "uvicorn.access",
    "watchfiles",
)
# These repeat a warning for every batch while the destination is unavailable; the exporter logs it once.
_ERROR_LEVEL_LOGGERS = ("azure.monitor.opentelemetry", "opentelemetry.sdk")


def _limit_run_lines(runs: Literal["all", "failures"]) -> None:
    log = logging.getLogger(RUNS_LOGGER)
    if log.level <= logging.WARNING:  # a higher one is that of a command that shows the runs itself
        log.setLevel(logging.WARNING if runs == "failures" else logging.NOTSET)


class ConfiguredLogging:
    """What `configure_logging` set up. `written` and `dropped` count log records."""

    def __init__(self, writer: LogWriter | None) -> None:
        self._writer = writer

    @property
    def written(self) -> int:
        return self._writer.written if self._writer else 0

    @property
    def dropped(self) -> int:
        return self._writer.dropped if self._writer else 0

    def close(self, timeout: float = 2.0) -> None:
        """Write what is queued, for at most `timeout` seconds, and end the thread. For programs without a loop."""
        if self._writer is not None:
            logging.getLogger().removeHandler(self._writer)
            self._writer.close(timeout)

    async def aclose(self, timeout: float = 2.0) -> None:  # noqa: ASYNC109  # bounds a thread, not a coroutine
        """The same without blocking the loop."""
        await asyncio.to_thread(self.close, timeout)


def configure_logging(
    *,
    level: str | int,
    format: LogFormat,
    runs: Literal["all", "failures"] = "all",
    redactor: Redactor,
    stream: TextIO | None,
) -> ConfiguredLogging:
    """Send all log records to `stream`, redacted, from a separate thread.

    `auto` is text on a terminal and JSON elsewhere. Without a stream the records leave by the root handlers that the
    process already has (the Functions worker brings its own, which hands them to the host): these get the same
    format, so what they pass on is redacted too. What the host would drop is held back until the next invocation (see
    observability.invocations). A second call replaces the first.
    """
    root = logging.getLogger()
    for handler in list(root.handlers):
        if isinstance(handler, LogWriter):
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level.upper() if isinstance(level, str) else level)
    _limit_run_lines(runs)
    _limit_library_loggers()
    formatter = _make_formatter(format, redactor, stream)
    if stream is None:
        for handler in root.handlers:
            if not isinstance(handler, OwnHandler):
                _configure_worker_handler(handler, formatter, redactor)
        return ConfiguredLogging(None)
    writer = LogWriter(stream, formatter)
    writer.addFilter(RequestIdFilter())
    writer.addFilter(RedactionFilter(redactor))
    root.addHandler(writer)
    return ConfiguredLogging(writer)


def _configure_worker_handler(handler: logging.Handler, formatter: logging.Formatter, redactor: Redactor) -> None:
    """Make a handler of the Functions worker pass on what we would write, when the host takes it."""
    handler.setFormatter(formatter)
    ours = (RequestIdFilter, RedactionFilter, InvocationFilter)
    handler.filters = [each for each in handler.filters if not isinstance(each, ours)]
    handler.addFilter(RequestIdFilter())
    handler.addFilter(RedactionFilter(redactor))
    handler.addFilter(InvocationFilter(handler))


def _make_formatter(format: LogFormat, redactor: Redactor, stream: TextIO | None) -> logging.Formatter:
    terminal = stream is not None and stream.isatty()
    if format == "json" or (format == "auto" and not terminal):
        return JsonFormat(redactor)
    return TextFormat(redactor, colour=terminal and not os.environ.get("NO_COLOR"))


def _limit_library_loggers() -> None:
    for name in _WARNING_LEVEL_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in _ERROR_LEVEL_LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
