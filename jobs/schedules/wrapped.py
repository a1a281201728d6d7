"""Base of schedules that change the instants of another one. Used by the bounded, default and jittered schedules."""

from __future__ import annotations

from jobs.schedules.milliseconds import MillisecondSchedule
from jobs.schedules.protocol import Schedule


class WrappedSchedule(MillisecondSchedule):
    """`schedule`: the wrapped one, which determines these properties."""

    __slots__ = ()

    schedule: Schedule

    @property
    def is_interval_like(self) -> bool:
        return self.schedule.is_interval_like

    @property
    def monitor_disabled(self) -> bool:
        return self.schedule.monitor_disabled
