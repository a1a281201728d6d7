"""Mergeable histogram of durations, and many counts in one integer, which are added at once. Pure.

Bucket `n` holds durations from GROWTH ** (n - 1) to GROWTH ** n microseconds, bucket 0 those below one microsecond. A
quantile is the middle of its bucket, so it is off by at most MAX_RELATIVE_ERROR.

A sum of a hundred counts takes as long as one of two.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from itertools import accumulate
from math import ceil, log

_BYTES = 8
BITS = 8 * _BYTES
"""Of each count. It must not be negative, nor reach 2 ** 64."""


def pack(stored: Sequence[int]) -> int:
    """Return the integer for a place and the counts from this place on; 0 for an empty sequence."""
    if not stored:
        return 0
    place, *counts = stored
    return int.from_bytes(struct.pack(f"<{len(counts)}Q", *counts), "little") << place * BITS


def unpack(packed: int) -> list[int]:
    """Return the first place whose count is not 0, and the counts from this place to the last one that is not 0."""
    if not packed:
        return []
    place = ((packed & -packed).bit_length() - 1) // BITS
    length = (packed.bit_length() - 1) // BITS + 1 - place
    data = (packed >> place * BITS).to_bytes(length * _BYTES, "little")
    return [place, *struct.unpack(f"<{length}Q", data)]


def one_at(place: int) -> int:
    """Return the integer with the count 1 at this place."""
    return 1 << place * BITS


GROWTH = 1.1
MAX_RELATIVE_ERROR = (GROWTH - 1) / (GROWTH + 1)
"""4.8 %."""
MAX_BUCKET = 400
"""Holds everything from 11,000 years on."""

_BUCKETS_PER_E = 1 / log(GROWTH)
_MICROSECONDS = 1000.0


class Histogram:
    """`packed`: the count of each bucket, as jobs.runs.histogram describes."""

    __slots__ = ("packed",)

    def __init__(self, packed: int = 0) -> None:
        self.packed = packed

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Histogram) and self.packed == other.packed

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        return f"Histogram.decode({self.encode()})"

    @property
    def total(self) -> int:
        return sum(self.encode()[1:])

    def add(self, milliseconds: float) -> None:
        """Count one duration. A negative one counts as 0."""
        self.packed += one_at(bucket_of(milliseconds))

    def merge(self, other: Histogram) -> None:
        """Add the counts of another histogram."""
        self.packed += other.packed

    def quantile(self, share: float) -> float | None:
        """Return the duration in milliseconds below or at which this share (0 to 1) lies; None if it is empty."""
        return quantile_of(self.encode(), share)

    def encode(self) -> list[int]:
        """Return the parts of a stored row: the first bucket with a count, and the counts from it on."""
        return unpack(self.packed)

    def accumulate(self, buckets: Sequence[int]) -> list[int]:
        """Return the number of durations in each of these buckets and those before it. `buckets`: ascending."""
        if not self.packed:
            return [0] * len(buckets)
        first, *counts = self.encode()
        reached = [*accumulate(counts, initial=0)]
        return [reached[min(max(bucket - first + 1, 0), len(counts))] for bucket in buckets]

    @property
    def sum_ms(self) -> float:
        """The sum of all durations, off by at most MAX_RELATIVE_ERROR; it never decreases as durations are added."""
        if not self.packed:
            return 0.0
        first, *counts = self.encode()
        return sum(count * middle for count, middle in zip(counts, _MIDDLES[first:], strict=False))

    @property
    def counts(self) -> dict[str, int]:
        """Counts by bucket number, which is a text as in JSON."""
        bucket, *counts = self.encode() or [0]
        return {str(number): count for number, count in enumerate(counts, bucket) if count}

    @staticmethod
    def decode(stored: Sequence[int] | dict[str, int]) -> Histogram:
        """`stored`: see `encode`, or `counts`."""
        if isinstance(stored, dict):
            stored = _list_counts({int(bucket): count for bucket, count in stored.items()})
        return Histogram(pack(stored))


def quantile_of(stored: Sequence[int], share: float, minimum: int = 1) -> float | None:
    """Return the quantile of an encoded histogram without decoding it; None with fewer than `minimum` durations."""
    if not stored:
        return None
    total = sum(stored) - stored[0]
    if total < max(1, minimum):
        return None
    above = total - max(1, ceil(share * total))
    place = len(stored) - 1
    while above >= stored[place]:  # from the upper end: most quantiles that are read lie there
        above -= stored[place]
        place -= 1
    return _MIDDLES[stored[0] + place - 1]


def bucket_of(milliseconds: float) -> int:
    """Return the bucket of a duration. A negative one counts as 0."""
    microseconds = milliseconds * _MICROSECONDS
    return 0 if microseconds < 1 else min(int(log(microseconds) * _BUCKETS_PER_E) + 1, MAX_BUCKET)


def _list_counts(counts: Mapping[int, int]) -> Sequence[int]:
    if not counts:
        return ()
    first = min(counts)
    found = [0] * (max(counts) - first + 1)
    for bucket, count in counts.items():
        found[bucket - first] = count
    return [first, *found]


def upper_edge(bucket: int) -> float:
    """Return the milliseconds below which everything in the bucket lies."""
    return GROWTH**bucket / _MICROSECONDS


def _middle(bucket: int) -> float:
    """Return milliseconds that are at most MAX_RELATIVE_ERROR from everything in the bucket."""
    return 0.0 if bucket == 0 else 2 * GROWTH**bucket / (GROWTH + 1) / _MICROSECONDS


_MIDDLES = [_middle(bucket) for bucket in range(MAX_BUCKET + 1)]
