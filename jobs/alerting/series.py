"""The last samples of a job as one rule counts them: a bit a sample. Pure; used by jobs.alerting.conditions.

A series is a value: adding a sample returns another one. A sample that is not newer than the newest one, such as that
of a redelivered run, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jobs.alerting.samples import Sample
from jobs.alerting.thresholds import LARGEST_WINDOW, Threshold
from jobs.fast_frozen import fast_frozen

_MASK = (1 << LARGEST_WINDOW) - 1


@fast_frozen(frozen=True, slots=True)
class Series:
    """`bits`: one a bad sample, the newest lowest. `count`: samples, at most LARGEST_WINDOW."""

    bits: int = 0
    count: int = 0
    newest: tuple[datetime, str] | None = None
    bad_times: tuple[datetime, ...] = ()
    """The ends of the runs of the bad samples within the window, oldest first."""

    def add(self, sample: Sample, is_bad: bool, window: int) -> Series:
        """Return the series with a newer sample. `window`: samples whose times are held."""
        if self.newest is not None and sample.position <= self.newest:
            return self
        bits = ((self.bits << 1) | is_bad) & _MASK
        times = (*self.bad_times, sample.finished_at) if is_bad else self.bad_times
        held = (bits & ((1 << window) - 1)).bit_count()
        return Series(bits, min(self.count + 1, LARGEST_WINDOW), sample.position, times[len(times) - held :])

    @property
    def is_last_bad(self) -> bool:
        return bool(self.bits & 1)

    @property
    def good_in_a_row(self) -> int:
        """The number of good samples since the last bad one."""
        return self.count if not self.bits else (self.bits & -self.bits).bit_length() - 1

    def failing_since(self, threshold: Threshold) -> datetime | None:
        """Return when the first of the bad samples ended that reach the threshold; None without any."""
        if not self.bad_times:
            return None
        if not threshold.is_consecutive:
            return self.bad_times[0]
        in_a_row = (~self.bits & -~self.bits).bit_length() - 1
        return self.bad_times[-min(in_a_row, len(self.bad_times))] if in_a_row else self.bad_times[0]


def series_of(samples: Iterable[tuple[Sample, bool]], window: int) -> Series:
    """Return the series of these samples, each with whether it is bad, oldest first."""
    series = Series()
    for sample, is_bad in samples:
        series = series.add(sample, is_bad, window)
    return series
