"""A schedule delayed by a constant of its job, so that jobs with the same schedule do not start together.

Called by jobs.schedules.mapping and jobs.schedules.binding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from jobs.formats.durations import format_duration
from jobs.schedules.interval import IntervalSchedule
from jobs.schedules.milliseconds import FIRST_MS, LAST_MS
from jobs.schedules.protocol import Schedule, spec_as_mapping
from jobs.schedules.wrapped import WrappedSchedule


@dataclass(frozen=True, slots=True)
class JitteredSchedule(WrappedSchedule):
    """Later than `schedule` by a part of the jitter that follows from the job's name, hence the same everywhere.

    Without a job it is not delayed. No instant is delayed past the next one of an interval.
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
        """For example `0 0 3 * * *, jitter 20s`."""
        return f"{self.schedule.text}, jitter {format_duration(self.jitter_seconds)}"

    @property
    def spec(self) -> dict[str, Any]:
        return {**spec_as_mapping(self.schedule), "jitter": format_duration(self.jitter_seconds)}

    def next_after_ms(self, milliseconds: int) -> int | None:
        due = self.schedule.next_after_ms(max(milliseconds - self.shift_ms, FIRST_MS))
        return None if due is None or due + self.shift_ms > LAST_MS else due + self.shift_ms


def _fraction(name: str, span: int) -> int:
    """Map the name to a number in [0, span), uniformly over names."""
    drawn = int.from_bytes(blake2b(name.encode(), digest_size=8).digest(), "big")
    return drawn * span >> 64
