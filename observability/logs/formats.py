"""How a log record looks: JSON for machines, a line for people. Both take secrets out, tracebacks included.

Used by logs, in the writer's thread.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING

from pydantic_core import PydanticSerializationError, to_json

from observability import names
from observability.event_fields import Fields
from observability.log_event import LogEvent
from observability.logs.request_ids import request_id_of
from observability.redaction import redact_fields

if TYPE_CHECKING:
    from jobs.redaction import Redactor

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
