"""Exclusions from a schedule: dates, weekly windows and public holidays.

Called by jobs.schedules.bounded and jobs.schedules.calendars.exclusion_mapping. All times are local times of the
schedule's zone, counted in seconds since 1970-01-01T00:00:00 local time (as in `TimeZone.wall_second`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from jobs.schedules.calendars.public_holidays import holidays_in_year

DAY_SECONDS = 86_400
_EPOCH_DAY = date(1970, 1, 1).toordinal()
_LAST_DAY = date.max.toordinal()
WEEKDAY_NAMES = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
EVERY_DAY = (1 << 7) - 1


class Exclusion(Protocol):
    """Periods of local time in which the schedule is not due."""

    @property
    def text(self) -> str:
        """A description on one line."""
        ...

    @property
    def spec(self) -> dict[str, Any]:
        """The form in a job file."""
        ...

    def period_end(self, wall: int) -> int | None:
        """Return the end of the period that contains this second; None if none does."""
        ...


@dataclass(frozen=True, slots=True)
class ExcludedDates:
    """Whole days, as date ordinals."""

    days: frozenset[int]

    @property
    def text(self) -> str:
        """Format for example as `2026-12-24, 2026-12-31`."""
        return ", ".join(self.spec["dates"])

    @property
    def spec(self) -> dict[str, list[str]]:
        return {"dates": [date.fromordinal(day).isoformat() for day in sorted(self.days)]}

    def period_end(self, wall: int) -> int | None:
        day = first = wall // DAY_SECONDS + _EPOCH_DAY
        while day in self.days:
            day += 1
        return None if day == first else (day - _EPOCH_DAY) * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class WeeklyWindow:
    """A window on some weekdays. If `end` is not after `begin`, it ends on the following day."""

    days: int
    """Bit mask of the weekdays on which it starts; Monday is bit 0."""
    begin: int = 0
    """Second of the day."""
    end: int = DAY_SECONDS

    @property
    def text(self) -> str:
        """Format for example as `SAT, SUN 22:00-06:00`."""
        days = ", ".join(self._names) if self.day_names else "daily"
        return days if self.covers_whole_days else f"{days} {self.begin_text}-{self.end_text}"

    @property
    def spec(self) -> dict[str, dict[str, str]]:
        days = {"days": ",".join(self._names)} if self.day_names else {}
        return {"weekly": {**days, "from": self.begin_text, "to": self.end_text}}

    @property
    def day_names(self) -> list[str]:
        """For example `Saturday`, `Sunday`; empty for every day."""
        if self.days == EVERY_DAY:
            return []
        return [name.capitalize() for day, name in enumerate(WEEKDAY_NAMES) if self.days >> day & 1]

    @property
    def covers_whole_days(self) -> bool:
        """Whether the window covers whole days."""
        return (self.begin, self.end) == (0, DAY_SECONDS)

    @property
    def crosses_midnight(self) -> bool:
        """Whether it ends on the day after its start."""
        return self.end <= self.begin

    @property
    def begin_text(self) -> str:
        """For example `22:00`."""
        return _clock(self.begin)

    @property
    def end_text(self) -> str:
        """For example `06:00`."""
        return _clock(self.end)

    @property
    def _names(self) -> list[str]:
        return [name[:3].upper() for name in self.day_names]

    def period_end(self, wall: int) -> int | None:
        today = wall // DAY_SECONDS
        length = self.end - self.begin + (DAY_SECONDS if self.crosses_midnight else 0)
        for day in (today, today - 1):
            # The first day of the epoch was a Thursday.
            begin = day * DAY_SECONDS + self.begin
            if self.days >> (day + 3) % 7 & 1 and begin <= wall < begin + length:
                return begin + length
        return None


@dataclass(frozen=True, slots=True)
class PublicHolidays:
    """The public holidays of a country or of one of its subdivisions."""

    country: str
    subdivision: str | None = None

    @property
    def text(self) -> str:
        """Format for example as `holidays of DE-BE`."""
        return f"holidays of {self.country}" + (f"-{self.subdivision}" if self.subdivision else "")

    @property
    def spec(self) -> dict[str, str]:
        return {"holidays": self.country, **({"subdivision": self.subdivision} if self.subdivision else {})}

    def period_end(self, wall: int) -> int | None:
        day = first = wall // DAY_SECONDS + _EPOCH_DAY
        while day in holidays_in_year(self.country, self.subdivision, date.fromordinal(min(day, _LAST_DAY)).year):
            day += 1
        return None if day == first else (day - _EPOCH_DAY) * DAY_SECONDS


def _clock(time: int) -> str:
    hour, rest = divmod(time, 3600)
    minute, second = divmod(rest, 60)
    return f"{hour:02}:{minute:02}" + (f":{second:02}" if second else "")
