"""Notices that the clock of the machine was set, by comparing it with the monotonic clock. Used by blindness. Pure.

While the clock is wrong, instants, certificates and tokens are judged wrongly; so alerts do not describe their targets.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from jobs.formats.durations import describe_span

MAX_JUMP = timedelta(minutes=2)
"""Between two ticks. Time services correct a running clock by less."""
ACCEPTED_AFTER = timedelta(minutes=30)
"""By then a clock that nothing contradicts counts as correct: it was perhaps corrected."""
WRONG_CLOCK = "the clock of the scheduler"
"""The beginning of each cause."""


class ClockWatch:
    """`find_cause` returns what is wrong with the clock, empty if nothing is known to be."""

    def __init__(self) -> None:
        self._started_at: datetime | None = None
        """The instant at which the monotonic clock was zero, by the clock when it was last trusted."""
        self._wrong_since: float | None = None

    def find_cause(self, now: datetime, monotonic: float) -> str:
        started_at = now - timedelta(seconds=monotonic)
        if self._started_at is None:
            self._started_at = started_at
        jump = started_at - self._started_at
        if abs(jump) <= MAX_JUMP:
            # A slow correction is followed; it never adds up to a jump.
            self._started_at, self._wrong_since = started_at, None
            return ""
        if self._wrong_since is None:
            self._wrong_since = monotonic
        if monotonic - self._wrong_since >= ACCEPTED_AFTER.total_seconds():
            self._started_at, self._wrong_since = started_at, None
            return ""
        direction = "back" if jump < timedelta() else "forward"
        return f"{WRONG_CLOCK} was set {direction} by {describe_span(abs(jump).total_seconds())}"

    def accept(self, now: datetime, monotonic: float) -> None:
        """Trust the clock: another one agrees with it."""
        self._started_at, self._wrong_since = now - timedelta(seconds=monotonic), None
