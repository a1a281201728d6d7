"""An NCRONTAB expression or a monthly schedule in the local time of a time zone.

Called by jobs.schedules.mapping; all other code uses the `Schedule` protocol.

When local time goes forward, it skips some times (the gap); when it goes back, it repeats some (the fold). The default
is the behaviour of the timer of Azure Functions (CronSchedule.cs), which computes each instant from the previous one.
In a gap, the first skipped time is due later by the gap's length, for every expression; the timer continues from there,
so other times in the gap, or before that instant, are not due. In a fold, an interval-like expression (see Ncrontab) is
due in both passes, any other in the first one. A `DstPolicy` replaces this behaviour for every expression.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from jobs.schedules.calendars.monthly import MonthlySchedule
from jobs.schedules.cron.ncrontab import Ncrontab
from jobs.schedules.milliseconds import LAST_MS, SecondSchedule
from jobs.schedules.protocol import spec_as_mapping
from jobs.schedules.time_zones.time_zone import OffsetSpan, TimeZone

GapPolicy = Literal["shift", "end", "skip"]
RepeatPolicy = Literal["first", "both"]

_LAST_SECOND = LAST_MS // 1000
_FIRST_WALL = -62_135_596_800
"""The first second of the year 1."""
_FAR = 2 * 86_400
"""Seconds. Larger than the difference between any two offsets."""
_HORIZON = 100 * 366 * 86_400
"""Seconds. Limit of the search for an expression whose only times lie in gaps that it skips."""


@dataclass(frozen=True, slots=True)
class DstPolicy:
    """The policy for changes of local time; None is the behaviour of the Functions timer for this expression."""

    gap: GapPolicy | None = None
    """Skipped times: `shift` delays each by the gap's length, `end` to the first instant after the gap."""
    repeat: RepeatPolicy | None = None
    """Repeated times are due in the `first` pass or in `both`."""

    @property
    def spec(self) -> dict[str, str]:
        return {key: value for key, value in (("gap", self.gap), ("repeat", self.repeat)) if value is not None}


FUNCTIONS_DST_POLICY = DstPolicy()
"""The behaviour of the Functions timer."""


@dataclass(frozen=True, slots=True)
class ZonedSchedule(SecondSchedule):
    """Due when the local time matches `cron`: an expression or a monthly schedule."""

    cron: Ncrontab | MonthlySchedule
    zone: TimeZone
    dst: DstPolicy = FUNCTIONS_DST_POLICY
    gap: GapPolicy | None = field(init=False, repr=False, compare=False)
    """The effective policy; None is the behaviour of the timer."""
    is_first_pass_only: bool = field(init=False, repr=False)
    """Whether a repeated time is due only in the first pass."""

    def __post_init__(self) -> None:
        # The timer does not support monthly schedules. Here, each time that the user listed is due.
        usual: GapPolicy | None = "shift" if isinstance(self.cron, MonthlySchedule) else None
        object.__setattr__(self, "gap", self.dst.gap or usual)
        repeat = self.dst.repeat or ("both" if self.cron.is_interval_like else "first")
        object.__setattr__(self, "is_first_pass_only", repeat == "first")

    @property
    def text(self) -> str:
        """For example `0 0 3 * * * Europe/Berlin, gap skip`."""
        return ", ".join(
            [f"{self.cron.text} {self.zone.name}", *(f"{key} {value}" for key, value in self.dst.spec.items())]
        )

    @property
    def spec(self) -> dict[str, Any]:
        policy = {"dst": self.dst.spec} if self.dst.spec else {}
        return {**spec_as_mapping(self.cron), "timezone": self.zone.name, **policy}

    @property
    def is_interval_like(self) -> bool:
        return self.cron.is_interval_like

    @property
    def monitor_disabled(self) -> bool:
        return self.cron.monitor_disabled

    def next_second(self, second: int) -> int | None:
        """Return the first due second strictly after this one, both counted since the epoch.

        Each iteration covers the span after `second`, up to the next change of local time.
        """
        horizon = second + _HORIZON
        while second < horizon:
            span = self.zone.span_at(second + 1)
            wall = self._from_wall(span, second)
            due = None if wall is None else wall - span.offset
            if due is None or due >= span.end:
                due = None
            if span.previous_offset < span.offset and self.gap != "skip":
                left_out = self._left_out(span, second)
                if left_out is not None and self.gap is None:
                    due = left_out
                elif left_out is not None:
                    due = left_out if due is None else min(due, left_out)
            if due is not None:
                return due if due <= _LAST_SECOND else None
            if wall is None:
                return None
            # Times before `wall` are not due, so most spans can be skipped; but a change may soon repeat earlier times.
            second = span.end - 1 if span.end - second < _FAR else max(span.end - 1, wall - span.offset - _FAR)
        return None

    def _from_wall(self, span: OffsetSpan, second: int) -> int | None:
        """Return the expression's first local time after `second`, by the span's offset; it may lie after the span."""
        wall = second + span.offset
        if self.is_first_pass_only and span.offset < span.previous_offset:
            wall = max(wall, span.start + span.previous_offset - 1)
        return self.cron.next_second(max(wall, _FIRST_WALL - 1))

    def _left_out(self, span: OffsetSpan, second: int) -> int | None:
        """Return when a time that the span's change skipped is due, if that is after `second`."""
        gap = self.gap
        if second >= (span.start if gap == "end" else span.start + span.offset - span.previous_offset - 1):
            return None  # for most of the year, without a search
        # For the timer's behaviour only the first skipped time counts, however late within the gap the search starts.
        earliest = span.start - 1 if gap is None else max(second, span.start - 1)
        wall = self.cron.next_second(earliest + span.previous_offset)
        if wall is None or wall >= span.start + span.offset:
            return None
        due = span.start if gap == "end" else wall - span.previous_offset
        return due if due > second else None
