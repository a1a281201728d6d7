"""What every schedule can do. The modules beside this one implement it; everybody else depends on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Schedule(Protocol):
    """Names due instants. Frozen, hashable, and a pure function of time: every instance gets the same answers."""

    @property
    def text(self) -> str:
        """For people, on one line. parse_schedule reads back that of an expression in UTC and of an interval."""
        ...

    @property
    def spec(self) -> str | dict[str, Any] | list[Any]:
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


def spec_as_mapping(schedule: Schedule) -> dict[str, Any]:
    """The spec of a schedule that is no list, as the mapping to which further keys can be added."""
    spec = schedule.spec
    return dict(spec) if isinstance(spec, dict) else {"cron": spec}
