"""The protocol of all schedules. Implemented by the modules of this package; all other code depends on it."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Protocol, runtime_checkable


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
