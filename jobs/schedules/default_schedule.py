"""The schedule of jobs that use the setting `default_schedule`. Built by config.job_files.definitions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.schedules.milliseconds import MillisecondSchedule
from jobs.schedules.protocol import Schedule


@dataclass(frozen=True, slots=True)
class DefaultSchedule(MillisecondSchedule):
    """Due whenever `schedule` is. Its text names the setting."""

    schedule: Schedule

    @property
    def text(self) -> str:
        """Format for example as `0 * * * * * (default_schedule)`."""
        return f"{self.schedule.text} (default_schedule)"

    @property
    def spec(self) -> str | dict[str, Any] | list[Any]:
        return self.schedule.spec

    @property
    def is_interval_like(self) -> bool:
        return self.schedule.is_interval_like

    @property
    def monitor_disabled(self) -> bool:
        return self.schedule.monitor_disabled

    def next_after_ms(self, milliseconds: int) -> int | None:
        return self.schedule.next_after_ms(milliseconds)
