"""Conversion between instants and whole milliseconds since the Unix epoch. Called by the schedules and by planning."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MS = 253_402_300_799_999
"""The last millisecond of the year 9999, the maximum of datetime."""
FIRST_MS = -62_135_596_800_000
"""The first millisecond of the year 1, the minimum of datetime."""


def to_milliseconds(instant: datetime) -> int:
    """Return milliseconds since the epoch, rounded down. Raises TypeError for a datetime without a time zone."""
    since = instant - EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def from_milliseconds(milliseconds: int) -> datetime:
    """Return the aware UTC instant. Raises OverflowError outside the years 1 to 9999."""
    return EPOCH + timedelta(milliseconds=milliseconds)


class MillisecondSchedule(ABC):
    """Base of schedules that compute in milliseconds."""

    __slots__ = ()

    @abstractmethod
    def next_after_ms(self, milliseconds: int) -> int | None:
        """Return the first due instant strictly after this one, both in milliseconds since the epoch."""

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the same as aware instants, in UTC."""
        due = self.next_after_ms(to_milliseconds(instant))
        return None if due is None else from_milliseconds(due)


class SecondSchedule(MillisecondSchedule):
    """Base of schedules that compute in whole seconds."""

    __slots__ = ()

    @abstractmethod
    def next_second(self, second: int) -> int | None:
        """Return the first due second strictly after this one."""

    def next_after_ms(self, milliseconds: int) -> int | None:
        second = self.next_second(milliseconds // 1000)
        return None if second is None else second * 1000
