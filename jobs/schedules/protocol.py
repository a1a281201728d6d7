"""What all schedules share: their protocol, instants in whole milliseconds since the Unix epoch, and the refusal of
unknown keys; and the simplest schedule, a fixed interval: `{every: 10s}` or a TimeSpan such as `00:05:00`.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from itertools import pairwise
from math import isfinite
from typing import Any, Protocol, runtime_checkable

from jobs.errors import ScheduleError
from jobs.formats import format_duration


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


_MONDAY_MS = 1_767_571_200_000
_COMPARED = 12
"""Due instants after a Monday whose gaps are compared: they do not depend on the time of the call."""


def find_shortest_gap(schedule: Schedule) -> float | None:
    """Return the seconds between the two due instants that are closest; None with less than two."""
    instants, at = list[int](), _MONDAY_MS
    while len(instants) < _COMPARED and (due := schedule.next_after_ms(at)) is not None:
        instants.append(at := due)
    return min(((later - earlier) / 1000 for earlier, later in pairwise(instants)), default=None)


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


def refuse_unknown_keys(value: Mapping[Any, Any], known_keys: tuple[str, ...], owner: str, prefix: str = "") -> None:
    """Raise ScheduleError for the first unknown key; the message suggests the closest known one."""
    for key in value:
        if key not in known_keys:
            near = get_close_matches(str(key).lower(), known_keys, n=1)
            meant = (
                f"did you mean {near[0]}?" if near else f"{owner} has {', '.join(known_keys[:-1])} or {known_keys[-1]}"
            )
            raise ScheduleError(f"{prefix}{str(key)[:40]}: unknown key, {meant}")


SHORTEST_INTERVAL = 0.1
"""Seconds. Below this, planning and recording cost more than the checks."""
MAX_INTERVAL = 3650 * 86_400.0
"""Seconds, ten years."""

_TIMESPAN = re.compile(
    r"(?:([0-9]{1,8})(?:\.|:(?=[0-9]+:[0-9]+:)))?([0-9]{1,2}):([0-9]{1,2})(?::([0-9]{1,2}(?:\.[0-9]{1,7})?))?"
)


@dataclass(frozen=True, slots=True)
class IntervalSchedule:
    """Due at every multiple of `every_seconds` since the Unix epoch, so that all instances agree.

    Every 10s is due at :00, :10, :20 and every 1d at midnight UTC, whenever the program started. An offset shifts all
    instants: every 10s with offset 3s is due at :03, :13, :23.

    Raises:
        ScheduleError: shorter than 100ms, longer than ten years, or not whole milliseconds; an offset that is not
            shorter than the interval.
    """

    every_seconds: InitVar[float]
    offset_seconds: InitVar[float] = 0.0
    every_ms: int = field(init=False)
    offset_ms: int = field(init=False)

    def __post_init__(self, every_seconds: float, offset_seconds: float) -> None:
        if not SHORTEST_INTERVAL <= every_seconds <= MAX_INTERVAL:
            raise ScheduleError(
                f"an interval of {_shown(every_seconds)} is out of range: "
                f"{format_duration(SHORTEST_INTERVAL)} to {format_duration(MAX_INTERVAL)}"
            )
        if not 0 <= offset_seconds < every_seconds:
            raise ScheduleError(
                f"an offset of {format_duration(offset_seconds)} is not shorter than the interval of "
                f"{format_duration(every_seconds)}"
            )
        object.__setattr__(self, "every_ms", _shared(_whole(every_seconds, "an interval")))
        object.__setattr__(self, "offset_ms", _whole(offset_seconds, "an offset"))

    @staticmethod
    def from_timespan(text: str) -> IntervalSchedule:
        """Parse a .NET TimeSpan: `hh:mm`, `hh:mm:ss`, `d.hh:mm:ss` or `d:hh:mm:ss`; seconds may have a fraction.

        `24:00:00` is a day, as the documentation of Azure Functions defines it. .NET itself reads 24 days, so larger
        hours are rejected as ambiguous.

        Raises:
            ScheduleError: another form, a part out of range, or not a valid interval.
        """
        found = _TIMESPAN.fullmatch(text)
        if not found:
            raise ScheduleError(f"{text[:60]!r} is not a TimeSpan: write hh:mm:ss or d.hh:mm:ss, or {{every: 10s}}")
        days, hours, minutes = (int(part or 0) for part in found.group(1, 2, 3))
        seconds = float(found[4] or 0)
        _check_clock(text, days, hours, minutes, seconds)
        return IntervalSchedule(days * 86_400 + hours * 3600 + minutes * 60 + seconds)

    @property
    def text(self) -> str:
        """For example `every 10s`, `every 5m offset 30s`; parse_schedule reads it back."""
        return " ".join(f"{key} {duration}" for key, duration in self.spec.items())

    @property
    def spec(self) -> dict[str, str]:
        offset = {"offset": format_duration(self.offset_ms / 1000)} if self.offset_ms else {}
        return {"every": format_duration(self.every_ms / 1000), **offset}

    @property
    def is_interval_like(self) -> bool:
        """Always true: a change of local time does not affect it."""
        return True

    @property
    def monitor_disabled(self) -> bool:
        """Whether Azure Functions stores no schedule status for it, because it is due more than once a minute."""
        return self.every_ms < 60_000

    def next_after_ms(self, milliseconds: int) -> int | None:
        every, offset = self.every_ms, self.offset_ms
        due = ((milliseconds - offset) // every + 1) * every + offset
        return due if due <= LAST_MS else None

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first due instant strictly after this one, aware UTC; None after the year 9999."""
        due = self.next_after_ms(to_milliseconds(instant))
        return None if due is None else from_milliseconds(due)


def _shown(seconds: float) -> str:
    """Format finer than the milliseconds of format_duration."""
    whole = isfinite(seconds) and abs(round(seconds * 1000) - seconds * 1000) < 1e-6
    return format_duration(seconds) if whole else f"{seconds:g}s"


# perf: planner, 3 % of the memory of a definition
@lru_cache(64)
def _shared(every_ms: int) -> int:
    """Return one number object for all jobs with the same interval."""
    return every_ms


def _whole(seconds: float, what: str) -> int:
    milliseconds = round(seconds * 1000)
    if abs(milliseconds - seconds * 1000) > 1e-4:
        raise ScheduleError(f"{what} of {seconds!r}s is finer than milliseconds: round it to milliseconds")
    return milliseconds


def _check_clock(text: str, days: int, hours: int, minutes: int, seconds: float) -> None:
    for name, value in (("minutes", minutes), ("seconds", seconds)):
        if value >= 60:
            raise ScheduleError(f"TimeSpan {text!r}: {name} must be 0 to 59")
    if hours > 23 and (days, hours, minutes, seconds) != (0, 24, 0, 0):
        raise ScheduleError(
            f"TimeSpan {text!r}: hours must be 0 to 23 (.NET would read {hours} days): "
            "write d.hh:mm:ss, or {every: 25h}"
        )
