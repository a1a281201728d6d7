"""The schedule of jobs that use the setting `default_schedule`. Built by config.job_files.definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.schedules.protocol import Schedule
from jobs.schedules.wrapped import WrappedSchedule


@dataclass(frozen=True, slots=True)
class DefaultSchedule(WrappedSchedule):
    """Due whenever `schedule` is. Its text names the setting."""

    schedule: Schedule

    @property
    def text(self) -> str:
        """Format for example as `0 * * * * * (default_schedule)`."""
        return f"{self.schedule.text} (default_schedule)"

    @property
    def spec(self) -> str | dict[str, Any] | list[Any]:
        return self.schedule.spec

    def next_after_ms(self, milliseconds: int) -> int | None:
        return self.schedule.next_after_ms(milliseconds)
