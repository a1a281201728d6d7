"""Takes secrets out of fields and log records, by value.

Fields: used by the log formats and by every exporter, each in its own thread. Records: by the handlers, at once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from observability.events import Fields, LogEvent

if TYPE_CHECKING:
    from jobs.redaction import Redactor

MAX_FIELD_LENGTH = 8192
"""Characters of one field; Application Insights keeps no more. Longer ones lose their middle."""

_FIELD_SEPARATOR = "\x1f\x1f"
"""Not a line end: in texts of several lines the redactor searches secrets that are broken over lines, which is slow."""
ALREADY_REDACTED = "redacted_at_once"
"""The attribute of a record that needs no redaction any more."""
_PLAIN_TYPES = (int, float, type(None))


class RedactionFilter(logging.Filter):
    """Redacts a record when it is logged: the redactor holds values of a run only during the run, and the record can be
    written much later. The texts of log events are redacted already.

    An exception is replaced by its text, because other handlers would format it again.
    """

    def __init__(self, redactor: Redactor) -> None:
        super().__init__()
        self._redactor = redactor

    def filter(self, record: logging.LogRecord) -> bool:
        if ALREADY_REDACTED in record.__dict__:
            return True
        if record.exc_info and record.exc_info[0] is not None:
            trace = record.exc_text or _traceback.formatException(record.exc_info)
            record.exc_text, record.exc_info = self._redactor.redact(trace), None
        if record.stack_info:
            record.stack_info = self._redactor.redact(record.stack_info)
        if not isinstance(record.msg, LogEvent):
            record.msg, record.args = self._redactor.redact(_format_message(record)), None
        setattr(record, ALREADY_REDACTED, True)
        return True


_traceback = logging.Formatter()


def _format_message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception as error:
        # Logging must not raise, and a message that cannot be formatted is not redacted.
        return f"could not format a record of {record.name}: {type(error).__name__}"


def redact_fields(fields: Fields, redactor: Redactor) -> Fields:
    """Return the fields without secrets and overlong texts. Most have neither, so all are checked together first."""
    together = _FIELD_SEPARATOR.join(_find_texts(fields))
    if len(together) <= MAX_FIELD_LENGTH and redactor.redact(together) == together:
        return fields
    return {key: _redact_value(value, redactor) for key, value in fields.items()}


def shorten_middle(text: str, longest: int = MAX_FIELD_LENGTH) -> str:
    """Remove the middle of a long text. Only for redacted text: a secret that is cut in two is not found."""
    if len(text) <= longest:
        return text
    half = longest // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def _find_texts(fields: Mapping[str, object]) -> Iterator[str]:
    for value in fields.values():
        if isinstance(value, str):
            yield value
        # Whether a number is a mapping takes longer to ask than all else here.
        elif not isinstance(value, _PLAIN_TYPES) and isinstance(value, Mapping):
            yield from value
            yield from _find_texts(value)


def _redact_value(value: object, redactor: Redactor) -> object:
    if isinstance(value, str):
        return shorten_middle(redactor.redact(value))
    if isinstance(value, Mapping):
        return {redactor.redact(str(key)): _redact_value(each, redactor) for key, each in value.items()}
    return value
