"""A schedule that is moved by a constant of its job, so that many jobs with the same one do not start together.

Called by jobs.schedules.mapping and .binding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from jobs.formats.durations import format_duration
from jobs.schedules.interval import IntervalSchedule
from jobs.schedules.milliseconds import FIRST_MS, LAST_MS, MillisecondSchedule
from jobs.schedules.protocol import Schedule, spec_as_mapping


@dataclass(frozen=True, slots=True)
class JitteredSchedule(MillisecondSchedule):
    """Later than `schedule` by a part of the jitter, which the job's name decides: the same always and everywhere.

    Without a job, as a bare schedule, it is not moved. No instant is moved past the next one of an interval.
    """

    schedule: Schedule
    jitter_seconds: float
    job: str = ""
    shift_ms: int = field(init=False, compare=False)
    """In [0, jitter)."""

    def __post_init__(self) -> None:
        span = round(self.jitter_seconds * 1000)
        if isinstance(self.schedule, IntervalSchedule):
            span = min(span, self.schedule.every_ms)
        object.__setattr__(self, "shift_ms", _fraction(self.job, span) if self.job else 0)

    @property
    def text(self) -> str:
        """For people: `0 0 3 * * *, jitter 20s`."""
        return f"{self.schedule.text}, jitter {format_duration(self.jitter_seconds)}"

    @property
    def spec(self) -> dict[str, Any]:
        """What a job file writes."""
        return {**spec_as_mapping(self.schedule), "jitter": format_duration(self.jitter_seconds)}

    @property
    def is_interval_like(self) -> bool:
        """As the schedule that is moved."""
        return self.schedule.is_interval_like

    @property
    def monitor_disabled(self) -> bool:
        """As the schedule that is moved."""
        return self.schedule.monitor_disabled

    def next_after_ms(self, milliseconds: int) -> int | None:
        """The first due instant strictly after this one, both in milliseconds since the epoch."""
        due = self.schedule.next_after_ms(max(milliseconds - self.shift_ms, FIRST_MS))
        return None if due is None or due + self.shift_ms > LAST_MS else due + self.shift_ms


def _fraction(name: str, span: int) -> int:
    """A number in [0, span) that is the name's, spread evenly over names."""
    drawn = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    return drawn * span >> 64
