"""Many counts in one integer, which are added at once. Pure.

Called by jobs.runs.histogram, and by scheduler.stores.runs.rollups.tally and scheduler.queries.statistics.sums for the
hours of the day. A sum of a hundred counts takes as long as one of two.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

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
