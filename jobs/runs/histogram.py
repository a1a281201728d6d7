"""Mergeable histogram of durations. Pure.

Called by scheduler.stores.runs.rollups.tally, which stores one for each hour of a job.

Bucket `n` holds durations from GROWTH ** (n - 1) to GROWTH ** n microseconds, bucket 0 those below one microsecond. A
quantile is the middle of its bucket, so it is off by at most MAX_RELATIVE_ERROR.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log

GROWTH = 1.1
MAX_RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)
"""4.8 %."""
LARGEST_BUCKET = 400
"""Holds everything from 11,000 years on."""

_BUCKETS_PER_E = 1 / log(GROWTH)
_MICROSECONDS = 1000.0


class Histogram:
    """`counts`: durations by bucket number. The numbers are texts, as in JSON, so that a row needs no conversion."""

    __slots__ = ("counts",)

    def __init__(self, counts: dict[str, int] | None = None) -> None:
        self.counts: dict[str, int] = {} if counts is None else counts

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.counts == other.counts

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Histogram({self.counts})"

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    def add(self, milliseconds: float) -> None:
        """Count one duration. A negative one counts as 0."""
        bucket = str(bucket_of(milliseconds))
        self.counts[bucket] = self.counts.get(bucket, 0) + 1

    def merge(self, counts: Mapping[str, int]) -> None:
        """Add the counts of another histogram."""
        own = self.counts
        for bucket, count in counts.items():
            try:
                own[bucket] += count
            except KeyError:
                own[bucket] = count

    def quantile(self, share: float) -> float | None:
        """Return the duration in milliseconds below or at which this share (0 to 1) lies; None if it is empty."""
        rank = max(1, ceil(share * self.total))
        reached = 0
        for bucket in sorted(self.counts, key=int):
            reached += self.counts[bucket]
            if reached >= rank:
                return _middle(int(bucket))
        return None


def bucket_of(milliseconds: float) -> int:
    """Return the bucket of a duration. A negative one counts as 0."""
    microseconds = milliseconds * _MICROSECONDS
    return 0 if microseconds < 1 else min(int(log(microseconds) * _BUCKETS_PER_E) + 1, LARGEST_BUCKET)


def _middle(bucket: int) -> float:
    """Return milliseconds that are at most MAX_RELATIVE_ERROR from everything in the bucket."""
    return 0.0 if bucket == 0 else 2 * GROWTH**bucket / (GROWTH + 1) / _MICROSECONDS
