"""Durations of Go, Prometheus and plain numbers as those of job files."""

from __future__ import annotations

import re

from config.importers.errors import NotCarriedOver
from config.importers.node import SourceNode
from config.importers.values.reading import read_text
from jobs.formats.durations import format_duration

_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|[smhdwy])")
_MAX_SECONDS = 366 * 86400.0


def parse_seconds(text: str) -> float | None:
    """Return the seconds of a duration such as `1h30m` or `1.5s`; None if the text is not one."""
    written = text.strip().removeprefix("+")
    if written == "0":
        return 0.0
    at, total = 0, 0.0
    while at < len(written):
        part = _PART.match(written, at)
        if part is None:
            return None
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    return total if written else None


def read_seconds(node: SourceNode) -> float:
    """Return the seconds of a node. Raises NotCarriedOver."""
    seconds = parse_seconds(read_text(node))
    if seconds is None or seconds > _MAX_SECONDS:
        raise NotCarriedOver("expected a duration such as 30s or 5m")
    return seconds


def write_duration(seconds: float) -> str:
    """Return the text of a job file: whole milliseconds, at least one."""
    return format_duration(max(round(seconds, 3), 0.001))
