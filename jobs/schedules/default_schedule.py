"""A schedule that a job has from the setting `default_schedule`, not from its own file. Made by config.job_files.entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.schedules.milliseconds import MillisecondSchedule
from jobs.schedules.protocol import Schedule


@dataclass(frozen=True, slots=True)
class DefaultSchedule(MillisecondSchedule):
    """Due whenever `schedule` is. Only its text differs, which says where the schedule comes from."""

    schedule: Schedule

    @property
    def text(self) -> str:
        """For people: `0 * * * * * (default_schedule)`."""
        return f"{self.schedule.text} (default_schedule)"

    @property
    def spec(self) -> str | dict[str, Any] | list[Any]:
        """What a job file would write."""
        return self.schedule.spec

    @property
    def is_interval_like(self) -> bool:
        """As the schedule itself."""
        return self.schedule.is_interval_like

    @property
    def monitor_disabled(self) -> bool:
        """As the schedule itself."""
        return self.schedule.monitor_disabled

    def next_after_ms(self, milliseconds: int) -> int | None:
        """The first due instant strictly after this one, both in milliseconds since the epoch."""
        return self.schedule.next_after_ms(milliseconds)
