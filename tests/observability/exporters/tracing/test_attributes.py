"""Fields of runs and log lines as attributes of OpenTelemetry."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from observability.events import LogLine
from observability.exporters.tracing import make_exception_fields, to_nanoseconds
from tests.observability import runs


def test_an_instant_is_exact_to_the_microsecond() -> None:
    assert to_nanoseconds(datetime(2031, 1, 1, 12, 0, 0, 123_457, tzinfo=UTC)) == 1_925_035_200_123_457_000


def test_a_traceback_makes_a_line_an_exception() -> None:
    line = LogLine(runs.DUE, logging.ERROR, "x", "broken", exc_text="Traceback\n  ...\nValueError: no: really")
    assert make_exception_fields(line) == {
        "exception.type": "ValueError",
        "exception.message": "no: really",
        "exception.stacktrace": "Traceback\n  ...\nValueError: no: really",
    }
    assert make_exception_fields(LogLine(runs.DUE, logging.ERROR, "x", "plain")) == {}
