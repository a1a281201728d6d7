"""Counts of an objective: what is valid, and how much of that is bad. Pure. Used by the other modules of
jobs.objectives and by scheduler.queries.objectives.
"""

from __future__ import annotations

from jobs.fast_frozen import fast_frozen
from jobs.runs.outcomes import Outcome, Trigger


@fast_frozen(frozen=True, slots=True)
class SliCounts:
    """Runs, or seconds of an objective by time. `bad` is a part of `valid`."""

    valid: float = 0
    bad: float = 0

    def __add__(self, other: SliCounts) -> SliCounts:
        return SliCounts(self.valid + other.valid, self.bad + other.bad)

    def __sub__(self, other: SliCounts) -> SliCounts:
        return SliCounts(self.valid - other.valid, self.bad - other.bad)

    @property
    def good(self) -> float:
        return self.valid - self.bad

    @property
    def bad_share(self) -> float | None:
        """Return the share of `valid` that is bad, 0 to 1; None if nothing is valid."""
        return self.bad / self.valid if self.valid > 0 else None


NO_COUNTS = SliCounts()


def count_run(outcome: Outcome, trigger: Trigger, *, is_degraded: bool, is_degraded_bad: bool) -> SliCounts:
    """Return what one finished run counts as.

    Skipped and cancelled runs and backfills are not valid, as they say nothing about the target at their instant. A
    rejected run is bad: an open circuit must not hide an outage.
    """
    if trigger is Trigger.BACKFILL or not (outcome is Outcome.SUCCEEDED or outcome.down):
        return NO_COUNTS
    return SliCounts(1, int(outcome.down or (is_degraded and is_degraded_bad)))
