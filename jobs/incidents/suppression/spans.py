"""Spans of time, and whether an instant is inside of one. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Protocol

from jobs.fast_frozen import fast_frozen

MAX_JOINED_SPANS = 400
"""Adjoining spans after which the end of a period counts as unknown, such as those of a daily window of 24 hours."""


@fast_frozen(frozen=True, slots=True)
class Span:
    """From `begin`, inclusive, to `end`, exclusive. Both aware UTC."""

    begin: datetime
    end: datetime


@fast_frozen(frozen=True, slots=True)
class PeriodState:
    """Whether an instant is inside. `changes_at`: when that changes; None if it never does, or not in sight."""

    is_inside: bool
    changes_at: datetime | None


class Periods(Protocol):
    """Hashable, and a pure function of time."""

    def __hash__(self) -> int: ...

    def spans_from(self, at: datetime) -> Iterator[Span]:
        """Yield the spans that end after an instant, in the order of their begins; they may overlap.

        The iterator ends where no span is in sight: it never searches without a limit.
        """
        ...


@fast_frozen(frozen=True, slots=True)
class AnyOf:
    """Inside if one of several periods is."""

    parts: tuple[Periods, ...]

    def spans_from(self, at: datetime) -> Iterator[Span]:
        return heapq.merge(*(part.spans_from(at) for part in self.parts), key=attrgetter("begin"))


@fast_frozen(frozen=True, slots=True)
class Outside:
    """The time between the spans of other periods."""

    periods: Periods

    def spans_from(self, at: datetime) -> Iterator[Span]:
        for _ in range(MAX_JOINED_SPANS):
            state = state_at(self.periods, at)
            if state.is_inside:
                if state.changes_at is None:
                    return
                at = state.changes_at
                continue
            yield Span(at, state.changes_at or _LAST_INSTANT)
            if state.changes_at is None:
                return
            at = state.changes_at


@fast_frozen(frozen=True, slots=True)
class Once:
    span: Span

    def spans_from(self, at: datetime) -> Iterator[Span]:
        if self.span.end > at:
            yield self.span


@fast_frozen(frozen=True, slots=True)
class CutAt:
    """Other periods up to an instant, at which they were ended."""

    periods: Periods
    end: datetime

    def spans_from(self, at: datetime) -> Iterator[Span]:
        if at >= self.end:
            return
        for span in self.periods.spans_from(at):
            if span.begin >= self.end:
                return
            yield Span(span.begin, min(span.end, self.end))


# Thousands of alerts are judged at one instant, by the same periods.
@lru_cache(maxsize=4096)
def state_at(periods: Periods, at: datetime) -> PeriodState:
    """Return whether the instant is inside a span, and when that changes: spans that adjoin or overlap are one."""
    end: datetime | None = None
    for number, span in enumerate(periods.spans_from(at)):
        if end is None:
            if span.begin > at:
                return PeriodState(False, span.begin)
            end = span.end
        elif span.begin > end:
            break
        else:
            end = max(end, span.end)
        if number == MAX_JOINED_SPANS or end >= _LAST_INSTANT:
            return PeriodState(True, None)
    return PeriodState(end is not None, end)


def union_of(periods: Sequence[Periods]) -> Periods:
    return periods[0] if len(periods) == 1 else AnyOf(tuple(periods))


_LAST_INSTANT = datetime.fromisoformat("9999-12-31T00:00:00+00:00")
