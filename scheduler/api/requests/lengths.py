"""Parses the duration `for` of a body."""

from __future__ import annotations

from jobs.formats import parse_duration
from jobs.problems import make_printable
from scheduler.api.problems import InvalidInput, UnusableValue


def parse_length(text: str | None) -> float | None:
    """Return seconds; None without a text. Raises UnusableValue."""
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        message = make_printable(str(error), 200)
        raise UnusableValue(InvalidInput(location="body.for", message=message)) from None
