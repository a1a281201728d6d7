"""Takes secrets out of fields, by value. Used by the log formats and by every exporter, each in its own thread."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from observability.events import Fields

if TYPE_CHECKING:
    from jobs.redaction import Redactor

LONGEST_TEXT = 8192
"""Characters of one field; Application Insights keeps no more. Longer ones lose their middle."""

_BETWEEN = "\x1f\x1f"
"""No end of a line: texts of several lines are looked at for secrets that are broken over them, which takes a while."""
_PLAIN = (int, float, type(None))


def redact_fields(fields: Fields, redactor: Redactor) -> Fields:
    """The same fields without secrets and overlong texts. Most have none of these: all are looked at together first."""
    together = _BETWEEN.join(_texts(fields))
    if len(together) <= LONGEST_TEXT and redactor.redact(together) == together:
        return fields
    return {key: _redacted(value, redactor) for key, value in fields.items()}


def shortened(text: str, longest: int = LONGEST_TEXT) -> str:
    """Without its middle if it is too long. Only for redacted text: a secret cut in two would not be found again."""
    if len(text) <= longest:
        return text
    half = longest // 2 - 2
    return f"{text[:half]} … {text[-half:]}"


def _texts(fields: Mapping[str, object]) -> Iterator[str]:
    for value in fields.values():
        if isinstance(value, str):
            yield value
        # Whether a number is a mapping takes longer to ask than all else here.
        elif not isinstance(value, _PLAIN) and isinstance(value, Mapping):
            yield from value
            yield from _texts(value)


def _redacted(value: object, redactor: Redactor) -> object:
    if isinstance(value, str):
        return shortened(redactor.redact(value))
    if isinstance(value, Mapping):
        return {redactor.redact(str(key)): _redacted(each, redactor) for key, each in value.items()}
    return value
