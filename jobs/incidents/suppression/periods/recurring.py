"""Periods that begin by a schedule and have one length. Pure. Used by jobs.incidents.suppression.periods.definition."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from jobs.fast_frozen import fast_frozen
from jobs.incidents.suppression.periods.spans import Span
from jobs.schedules.protocol import Schedule


@fast_frozen(frozen=True, slots=True)
class RecurringPeriods:
    """`length` is elapsed time: a period of 3 hours has 3 hours, also when local time changes within it."""

    schedule: Schedule
    length: timedelta

    def spans_from(self, at: datetime) -> Iterator[Span]:
        begin = self.schedule.next_after(at - self.length)
        while begin is not None:
            yield Span(begin, begin + self.length)
            begin = self.schedule.next_after(begin)
