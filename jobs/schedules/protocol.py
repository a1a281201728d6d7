"""What all schedules share: their protocol, instants in whole milliseconds since the Unix epoch, and the refusal of
unknown keys.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from typing import Any, Protocol, runtime_checkable

from jobs.errors import ScheduleError


@runtime_checkable
class Schedule(Protocol):
    """Computes due instants. Frozen, hashable, and a pure function of time: every instance computes the same."""

    @property
    def text(self) -> str:
        """A description on one line. parse_schedule reads back that of a UTC expression and of an interval."""
        ...

    @property
    def spec(self) -> str | dict[str, Any] | list[Any]:
        """The form in job files and in the API; parse_schedule reads it back."""
        ...

    @property
    def is_interval_like(self) -> bool:
        """Whether it repeats by distance, not by time of day, when local time goes back."""
        ...

    @property
    def monitor_disabled(self) -> bool:
        """Whether Azure Functions stores no schedule status for it, because it is due several times a minute."""
        ...

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first due instant strictly after this one (both aware, the result in UTC); None if none exists."""
        ...

    def next_after_ms(self, milliseconds: int) -> int | None:
        """Return the same in milliseconds since the epoch, within the years 1 to 9999."""
        ...


def spec_as_mapping(schedule: Schedule) -> dict[str, Any]:
    """Return the spec as a mapping, to which keys can be added. The schedule must not be a list."""
    spec = schedule.spec
    return dict(spec) if isinstance(spec, dict) else {"cron": spec}


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


def refuse_unknown_keys(value: Mapping[Any, Any], known: tuple[str, ...], owner: str, prefix: str = "") -> None:
    """Raise ScheduleError for the first unknown key; the message suggests the closest known one."""
    for key in value:
        if key not in known:
            near = get_close_matches(str(key).lower(), known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"{owner} has {', '.join(known[:-1])} or {known[-1]}"
            raise ScheduleError(f"{prefix}{str(key)[:40]}: unknown key, {meant}")
