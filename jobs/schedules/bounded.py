"""A schedule with start, end and exclusions. Called by jobs.schedules.mapping and jobs.schedules.binding."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jobs.schedules.bounds import ScheduleBound
from jobs.schedules.calendars.exclusions import Exclusion
from jobs.schedules.protocol import Schedule, spec_as_mapping
from jobs.schedules.time_zones.time_zone import TimeZone
from jobs.schedules.wrapped import WrappedSchedule

MOST_EXCLUDED_PERIODS = 1000
"""Consecutive excluded periods after which the search ends: nearly three years of days, nineteen of weekends."""


@dataclass(frozen=True, slots=True)
class BoundedSchedule(WrappedSchedule):
    """Due when `schedule` is due within the bounds (both included) and outside of `exclusions`.

    After MOST_EXCLUDED_PERIODS consecutive excluded periods the schedule counts as never due again.
    """

    schedule: Schedule
    zone: TimeZone | None = None
    """The time zone of the exclusions; None for UTC."""
    start: ScheduleBound | None = None
    end: ScheduleBound | None = None
    exclusions: tuple[Exclusion, ...] = ()

    @property
    def text(self) -> str:
        """For example `0 0 3 * * *, from 2026-12-01, except 2026-12-24`."""
        parts = [self.schedule.text]
        if self.start is not None:
            parts.append(f"from {self.start.text}")
        if self.end is not None:
            parts.append(f"until {self.end.text}")
        if self.exclusions:
            parts.append(f"except {', '.join(exclusion.text for exclusion in self.exclusions)}")
        return ", ".join(parts)

    @property
    def spec(self) -> dict[str, Any]:
        spec = spec_as_mapping(self.schedule)
        if self.zone is not None:
            spec["timezone"] = self.zone.name
        if self.start is not None:
            spec["start"] = self.start.text
        if self.end is not None:
            spec["end"] = self.end.text
        if self.exclusions:
            spec["except"] = [exclusion.spec for exclusion in self.exclusions]
        return spec

    def next_after_ms(self, milliseconds: int) -> int | None:
        if self.start is not None:
            milliseconds = max(milliseconds, self.start.milliseconds - 1)
        for _ in range(MOST_EXCLUDED_PERIODS):
            due = self.schedule.next_after_ms(milliseconds)
            if due is None or (self.end is not None and due > self.end.milliseconds):
                return None
            included_at = self._included_at(due)
            if included_at == due:
                return due
            milliseconds = included_at - 1
        return None

    def _included_at(self, due: int) -> int:
        """Return the instant itself if it is not excluded, otherwise the end of the exclusions that contain it."""
        second = due // 1000
        wall = second if self.zone is None else self.zone.wall_second(second)
        ends = [end for exclusion in self.exclusions if (end := exclusion.period_end(wall)) is not None]
        if not ends:
            return due
        end = max(ends)
        if self.zone is None:
            return 1000 * end
        # When local time goes back, times before the exclusion repeat: search again from the change.
        return 1000 * min(self.zone.first_second_showing(end, second + 1), self.zone.span_at(second).end)
