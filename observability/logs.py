"""Sets up logging for the whole process, once, before anything logs: its formats and the thread that writes.

A log record is JSON for machines, a line for people. Both take secrets out, tracebacks included.
The thread sleeps until there is something, then gathers for a moment, so that a busy second costs a few writes and an
idle one nothing. What does not fit into the queue is dropped and counted, and the count is logged.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Literal, TextIO

from pydantic_core import PydanticSerializationError, to_json

from jobs.trace_ids import current_request_id
from observability import names
from observability.events import Fields, LogEvent
from observability.invocations import InvocationFilter
from observability.redaction import RedactionFilter, redact_fields

if TYPE_CHECKING:
    from jobs.redaction import Redactor

_REQUEST_ID_ATTRIBUTE = "api_request_id"


class RequestIdFilter(logging.Filter):
    """Marks records where they are logged: they are written in another thread."""

    def filter(self, record: logging.LogRecord) -> bool:
        if request_id := current_request_id():
            setattr(record, _REQUEST_ID_ATTRIBUTE, request_id)
        return True


def request_id_of(record: logging.LogRecord) -> str:
    """Return the id of the request; empty without."""
    return str(getattr(record, _REQUEST_ID_ATTRIBUTE, ""))


_LEVEL_COLOURS = {
    logging.DEBUG: "\x1b[2m",
    logging.INFO: "\x1b[32m",
    logging.WARNING: "\x1b[33m",
    logging.ERROR: "\x1b[31m",
    logging.CRITICAL: "\x1b[1;31m",
}
_DIM_TEXT, _PLAIN_TEXT = "\x1b[2m", "\x1b[0m"

# What a target answered may stand in a sentence: it must not steer the terminal.
_CONTROL_CHARACTERS = {
    code: "\N{REPLACEMENT CHARACTER}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"
}

_encode_anything = json.JSONEncoder(separators=(",", ":"), default=str).encode


def _encode_line(line: Fields) -> str:
    try:
        return to_json(line, fallback=str).decode()
    except PydanticSerializationError:
        # Half of a surrogate pair, which streams reject, or bytes that are not text.
        return _encode_anything(line)


class JsonFormat(logging.Formatter):
    """One JSON object a line; the names are those of the catalogue."""

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor
        self._second = (-1, "")

    def format(self, record: logging.LogRecord) -> str:
        event = record.msg
        line: Fields = {
            names.TIMESTAMP: self._timestamp(record),
            names.LEVEL: record.levelname,
            names.LOGGER: record.name,
        }
        if isinstance(event, LogEvent):
            line[names.EVENT] = event.name
            line[names.MESSAGE] = str(event)
            line.update(event.fields())
        else:
            line[names.MESSAGE] = record.getMessage()
        if request_id := request_id_of(record):
            line[names.REQUEST_ID] = request_id
        if trace := format_traceback(record):
            line[names.EXCEPTION] = trace
        return _encode_line(redact_fields(line, self._redactor))

    def _timestamp(self, record: logging.LogRecord) -> str:
        second, text = self._second
        if second != int(record.created):
            second = int(record.created)
            text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            self._second = (second, text)
        return f"{text}.{int(record.msecs):03d}Z"


class TextFormat(logging.Formatter):
    """`01:50:30.123 INFO    JOB_PERFORMANCE checkout-api succeeded in 12ms, status 200`, coloured on a terminal."""

    def __init__(self, redactor: Redactor, *, colour: bool) -> None:
        super().__init__()
        self._redactor = redactor
        self._colour = colour

    def format(self, record: logging.LogRecord) -> str:
        event = record.msg
        clock = f"{time.strftime('%H:%M:%S', time.localtime(record.created))}.{int(record.msecs):03d}"
        if isinstance(event, LogEvent):
            what, message = event.name, str(event)
        else:
            what, message = record.name, record.getMessage()
        message = message.translate(_CONTROL_CHARACTERS)
        level = record.levelname.ljust(7)
        if self._colour:
            level = f"{_LEVEL_COLOURS.get(record.levelno, '')}{level}{_PLAIN_TEXT}"
            clock, what = f"{_DIM_TEXT}{clock}{_PLAIN_TEXT}", f"{_DIM_TEXT}{what}{_PLAIN_TEXT}"
        trace = format_traceback(record)
        return self._redactor.redact(f"{clock} {level} {what} {message}" + (f"\n{trace}" if trace else ""))


def format_traceback(record: logging.LogRecord) -> str:
    """The record's traceback and stack as text, or empty. Not redacted."""
    parts = []
    if record.exc_text:
        parts.append(record.exc_text)
    elif record.exc_info and record.exc_info[0] is not None:
        parts.append(_traceback.formatException(record.exc_info))
    if record.stack_info:
        parts.append(record.stack_info)
    return "\n".join(parts)


_traceback = logging.Formatter()


class OwnHandler(logging.Handler):
    """A handler of this package, in addition to those of the process."""


_GATHER_SECONDS = 0.05
_MAX_LINES_PER_WRITE = 500
LOG_QUEUE_CAPACITY = 10_000
"""Records that wait at most; beyond that the reader of the log has stopped reading."""


class LogWriter(logging.Handler):
    """A handler whose `emit` appends to a queue. `written` counts lines."""

    def __init__(self, stream: TextIO, formatter: logging.Formatter, *, capacity: int = LOG_QUEUE_CAPACITY) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self.written = 0
        self._rejected = 0
        self._lost = 0
        self._stream = stream
        self._capacity = capacity
        self._queue: deque[logging.LogRecord] = deque()
        self._reported_drops = 0
        self._wake = threading.Event()
        self._urgent = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Records that did not fit into the queue or could not be written."""
        return self._rejected + self._lost

    def handle(self, record: logging.LogRecord) -> bool:
        """Without the handler's lock, which appending to a deque does not need."""
        if not self.filter(record):
            return False
        self.emit(record)
        return True

    def emit(self, record: logging.LogRecord) -> None:
        """Take the record, or count it as dropped."""
        if len(self._queue) >= self._capacity or self._closing:
            self._rejected += 1
            return
        if record.args:
            # The arguments may change before the thread gets to them.
            record.msg, record.args = record.getMessage(), None
        self._queue.append(record)
        if record.levelno >= logging.WARNING:
            self._urgent.set()
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout: float = 2.0) -> None:
        """Write what is there and end the thread, within `timeout` seconds. Further records are dropped.

        A second call (Python makes one at its end) waits for nothing.
        """
        if self._closing:
            return
        self._closing = True
        self._urgent.set()
        self._wake.set()
        super().close()
        if self._thread is not threading.current_thread():
            self._thread.join(timeout)

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait()
            self._urgent.wait(_GATHER_SECONDS)
            self._wake.clear()
            self._urgent.clear()
            self._write_queued()
        self._write_queued()

    def _write_queued(self) -> None:
        while self._queue:
            records = [self._queue.popleft() for _ in range(min(_MAX_LINES_PER_WRITE, len(self._queue)))]
            self._write_lines([self._format_line(record) for record in records])
        if self._rejected > self._reported_drops:
            lost, self._reported_drops = self._rejected - self._reported_drops, self._rejected
            self._write_lines(
                [self.format(_make_record(f"{lost} log records were dropped: the reader of the log is too slow"))]
            )

    def _format_line(self, record: logging.LogRecord) -> str:
        try:
            return self.format(record)
        except Exception as error:
            # One invalid record must not lose the others. Only its logger is reported: its text is not redacted.
            self._lost += 1
            return self.format(_make_record(f"could not format a record of {record.name}: {type(error).__name__}"))

    def _write_lines(self, lines: list[str]) -> None:
        try:
            self._stream.write("\n".join(lines) + "\n")
            self._stream.flush()
            self.written += len(lines)
        except (OSError, ValueError):
            # The reader is gone or the stream is closed: there is nowhere left to tell it.
            self._lost += len(lines)


def _make_record(message: str) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, "", 0, message, None, None)


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
        """Write what is queued, and end the thread, without blocking the loop."""
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
