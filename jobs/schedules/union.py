"""A union of several schedules of one job. Called by jobs.schedules.parsing and jobs.schedules.binding."""

from __future__ import annotations

from dataclasses import dataclass

from jobs.schedules.milliseconds import MillisecondSchedule
from jobs.schedules.protocol import Schedule


@dataclass(frozen=True, slots=True)
class UnionSchedule(MillisecondSchedule):
    """Due whenever one of `schedules` is; an instant of two of them is due once."""

    schedules: tuple[Schedule, ...]

    @property
    def text(self) -> str:
        """For example `0 0 3 * * *; every 5m`."""
        return "; ".join(schedule.text for schedule in self.schedules)

    @property
    def spec(self) -> list[object]:
        return [schedule.spec for schedule in self.schedules]

    @property
    def is_interval_like(self) -> bool:
        """Whether one of them is."""
        return any(schedule.is_interval_like for schedule in self.schedules)

    @property
    def monitor_disabled(self) -> bool:
        """Whether this is true for one of them."""
        return any(schedule.monitor_disabled for schedule in self.schedules)

    def next_after_ms(self, milliseconds: int) -> int | None:
        due = (schedule.next_after_ms(milliseconds) for schedule in self.schedules)
        return min((one for one in due if one is not None), default=None)
