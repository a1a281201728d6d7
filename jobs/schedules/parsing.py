"""Reads the `schedule` of a job, in each of its forms, and says what every schedule can do.

Called by jobs.definition and by the CLI's `next`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, runtime_checkable

from jobs.errors import ScheduleError
from jobs.schedules.interval import Interval
from jobs.schedules.mapping import interval_of, schedule_of
from jobs.schedules.ncrontab import Ncrontab

_EVERY = ("every ", "@every ")


@runtime_checkable
class Schedule(Protocol):
    """Names due instants. Frozen, hashable, and a pure function of time: every instance gets the same answers."""

    @property
    def text(self) -> str:
        """For people, on one line. parse_schedule reads back that of an expression in UTC and of an interval."""
        ...

    @property
    def spec(self) -> str | dict[str, Any]:
        """For files and the API; parse_schedule reads it back."""
        ...

    @property
    def is_interval_like(self) -> bool:
        """Whether it goes on by distance, rather than by the time of day, when a wall clock is put back."""
        ...

    @property
    def monitor_disabled(self) -> bool:
        """Whether Azure Functions would keep no schedule status for it, because it is due several times a minute."""
        ...

    def next_after(self, instant: datetime) -> datetime | None:
        """The first due instant strictly after this one (both aware; the answer in UTC), or None if there is none."""
        ...

    def next_after_ms(self, milliseconds: int) -> int | None:
        """The same in milliseconds since the epoch, within the years 1 to 9999."""
        ...


def parse_schedule(value: object) -> Schedule:
    """Read an NCRONTAB text, a TimeSpan text (`00:05:00`), `{every: 10s}`, `{cron: ...}`; a Schedule is passed on.

    A mapping may name a `timezone` too; see jobs.schedules.mapping.

    Raises:
        ScheduleError: anything else. The message says what is wrong and how to mend it.
    """
    if isinstance(value, str):
        return _from_text(value)
    if isinstance(value, Mapping):
        return schedule_of(value)
    if isinstance(value, Schedule):
        return value
    raise ScheduleError(
        f"a schedule is a text or a mapping, not {type(value).__name__}: "
        "write '0 */5 * * * *', '00:05:00' (in quotes) or {every: 5m}"
    )


def _from_text(text: str) -> Schedule:
    stripped = text.strip()
    if not stripped:
        raise ScheduleError("a schedule is empty: write '0 */5 * * * *', '00:05:00' or {every: 5m}")
    if stripped.startswith(_EVERY):
        return interval_of(stripped.partition(" ")[2])
    if ":" in stripped and len(stripped.split()) == 1:
        return Interval.from_timespan(stripped)
    return Ncrontab.parse(text)
