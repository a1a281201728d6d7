"""Instants as whole milliseconds since the Unix epoch and back. Called by the schedules and by planning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, where datetime ends."""
FIRST_MS = -62_135_596_800_000
"""The first one of the year 1, where it begins."""


def to_milliseconds(instant: datetime) -> int:
    """Milliseconds since the epoch, finer fractions cut off. Raises TypeError for a datetime without a zone."""
    since = instant - EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def from_milliseconds(milliseconds: int) -> datetime:
    """The aware UTC instant. Raises OverflowError outside the years 1 to 9999."""
    # In microseconds, as timedelta takes them: in milliseconds it takes three times as long.
    return EPOCH + timedelta(0, 0, milliseconds * 1000)


class MillisecondSchedule(ABC):
    """A schedule that is made of others, and counts as they do."""

    __slots__ = ()

    @abstractmethod
    def next_after_ms(self, milliseconds: int) -> int | None:
        """The first due instant strictly after this one, both in milliseconds since the epoch."""

    def next_after(self, instant: datetime) -> datetime | None:
        """The same with aware instants, the answer in UTC."""
        due = self.next_after_ms(to_milliseconds(instant))
        return None if due is None else from_milliseconds(due)
