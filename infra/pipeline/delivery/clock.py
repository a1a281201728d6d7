"""The time, replaceable in tests, and durations as they are written in options and files."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smh])+")
_PART = re.compile(r"(\d+(?:\.\d+)?)([smh])")


class DeliveryClock(Protocol):
    """The current time, and sleep."""

    def now(self) -> datetime:
        """Return the current instant in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class MachineClock:
    """The machine's clock. `now` never goes backwards, also when the machine's time is corrected."""

    def __init__(self) -> None:
        self._start = datetime.now(UTC)
        self._monotonic_start = time.monotonic()

    def now(self) -> datetime:
        return self._start + timedelta(seconds=time.monotonic() - self._monotonic_start)

    def sleep(self, seconds: float) -> None:
        time.sleep(max(seconds, 0.0))


def parse_duration(text: str) -> float:
    """Return the seconds of a duration such as 90s, 10m or 1h30m.

    Raises:
        ValueError: it has another form.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is not a duration such as 90s, 10m or 1h30m")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


def format_duration(seconds: float) -> str:
    """Return a duration as people read it, such as 42 s or 3 min 5 s."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if rest else f"{minutes} min"


def format_instant(instant: datetime) -> str:
    """Return an instant in the form of the API, with seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_instant(text: str) -> datetime:
    """Return the instant of an ISO 8601 text; UTC without an offset.

    Raises:
        ValueError: it is not an instant.
    """
    instant = datetime.fromisoformat(text)
    return instant if instant.tzinfo is not None else instant.replace(tzinfo=UTC)
