"""An NCRONTAB expression, or days of the month, on the wall clock of a time zone whose clock is sometimes changed.

Called by jobs.schedules.mapping; everybody else sees only the `Schedule` protocol.

A clock that is put forward leaves out some of its times (the gap), one that is put back shows some twice (the repeat).
By default an expression does what the timer of Azure Functions does (CronSchedule.cs), which works each time out at the
one before it. In a gap, the first time that is left out is due later by the gap's length, for every expression; the
timer then goes on from there, so what else was due in the gap, or before that instant, is not due. In a repeat, an
expression that is interval-like (see Ncrontab) is due in both passes, any other in the first one. `DstPolicy` says otherwise,
and then for every expression.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from jobs.schedules.calendars.monthly import MonthlySchedule
from jobs.schedules.cron.ncrontab import Ncrontab
from jobs.schedules.milliseconds import LAST_MS, from_milliseconds, to_milliseconds
from jobs.schedules.protocol import spec_as_mapping
from jobs.schedules.time_zones.time_zone import OffsetSpan, TimeZone

GapPolicy = Literal["shift", "end", "skip"]
RepeatPolicy = Literal["first", "both"]

_LAST = LAST_MS // 1000
_FIRST_WALL = -62_135_596_800
"""The first second of the year 1."""
_FAR = 2 * 86_400
"""More seconds than any two offsets are apart."""
_HORIZON = 100 * 366 * 86_400
"""Seconds. An expression whose only times fall into gaps that it skips is not looked for any further."""


@dataclass(frozen=True, slots=True)
class DstPolicy:
    """What to do when the clock changes; None is what the Functions timer does with the expression's kind."""

    gap: GapPolicy | None = None
    """Times that are left out: `shift` moves each by the gap's length, `end` to the first instant after the gap."""
    repeat: RepeatPolicy | None = None
    """A time that is shown twice is due in the `first` pass or in `both`."""

    @property
    def spec(self) -> dict[str, str]:
        """What a job file writes."""
        return {key: value for key, value in (("gap", self.gap), ("repeat", self.repeat)) if value is not None}


FUNCTIONS_DST_POLICY = DstPolicy()
"""What the Functions timer does."""


@dataclass(frozen=True, slots=True)
class ZonedSchedule:
    """Due when the clock on the wall shows a time of `cron`: an expression, or days of the month."""

    cron: Ncrontab | MonthlySchedule
    zone: TimeZone
    dst: DstPolicy = FUNCTIONS_DST_POLICY
    gap: GapPolicy | None = field(init=False, repr=False, compare=False)
    """In force; None is what the timer does."""
    is_first_pass_only: bool = field(init=False, repr=False)
    """Whether a time that is shown twice is due in the first pass alone."""

    def __post_init__(self) -> None:
        # The timer has no days of the month by their place: each time that somebody named there is due.
        usual: GapPolicy | None = "shift" if isinstance(self.cron, MonthlySchedule) else None
        object.__setattr__(self, "gap", self.dst.gap or usual)
        repeat = self.dst.repeat or ("both" if self.cron.is_interval_like else "first")
        object.__setattr__(self, "is_first_pass_only", repeat == "first")

    @property
    def text(self) -> str:
        """For people: `0 0 3 * * * Europe/Berlin, gap skip`."""
        return ", ".join(
            [f"{self.cron.text} {self.zone.name}", *(f"{key} {value}" for key, value in self.dst.spec.items())]
        )

    @property
    def spec(self) -> dict[str, Any]:
        """What a job file writes."""
        policy = {"dst": self.dst.spec} if self.dst.spec else {}
        return {**spec_as_mapping(self.cron), "timezone": self.zone.name, **policy}

    @property
    def is_interval_like(self) -> bool:
        """As its expression."""
        return self.cron.is_interval_like

    @property
    def monitor_disabled(self) -> bool:
        """As its expression."""
        return self.cron.monitor_disabled

    def next_after(self, instant: datetime) -> datetime | None:
        """The first due instant strictly after this one, aware UTC; None if there is none within a hundred years."""
        due = self.next_after_ms(to_milliseconds(instant))
        return None if due is None else from_milliseconds(due)

    def next_after_ms(self, milliseconds: int) -> int | None:
        """The same in milliseconds since the epoch."""
        second = self.next_second(milliseconds // 1000)
        return None if second is None else second * 1000

    def next_second(self, second: int) -> int | None:
        """The first due second strictly after this one, both counted since the epoch.

        Each turn of the loop looks at the span after `second`, up to the next clock change.
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
                return due if due <= _LAST else None
            if wall is None:
                return None
            # Times before `wall` are not due, so most spans can be left out; but a change soon may repeat earlier ones.
            second = span.end - 1 if span.end - second < _FAR else max(span.end - 1, wall - span.offset - _FAR)
        return None

    def _from_wall(self, span: OffsetSpan, second: int) -> int | None:
        """The first time of the expression that the span's clock shows, or would go on to show, after `second`."""
        wall = second + span.offset
        if self.is_first_pass_only and span.offset < span.previous_offset:
            wall = max(wall, span.start + span.previous_offset - 1)
        return self.cron.next_second(max(wall, _FIRST_WALL - 1))

    def _left_out(self, span: OffsetSpan, second: int) -> int | None:
        """When a time is due that the change at the beginning of the span left out, if that is after `second`."""
        gap = self.gap
        if second >= (span.start if gap == "end" else span.start + span.offset - span.previous_offset - 1):
            return None  # for most of the year, without a search
        # Of the timer's alone: the first time, however late within the gap's length it is asked for.
        earliest = span.start - 1 if gap is None else max(second, span.start - 1)
        wall = self.cron.next_second(earliest + span.previous_offset)
        if wall is None or wall >= span.start + span.offset:
            return None
        due = span.start if gap == "end" else wall - span.previous_offset
        return due if due > second else None
