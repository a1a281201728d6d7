"""The failure of a judgement that ended before all of its entries were decided. Pure.

Called by judging.py where its time is over, and by jobs.judging where its process ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.runs import Failure

KEY = "judgement"
"""Stands where a failure has the key of its entry."""


def undecided(keys: Sequence[str], place: int, why: str) -> Failure:
    """The failure. `keys`: of all entries; `place`: of the one that was not decided, from 0; `why`: a clause."""
    count = len(keys)
    expected = f"a decision on {count} {'entry' if count == 1 else 'entries'}"
    return Failure(KEY, expected, f"none {_from(keys, place)}: {why}; {WHAT_TO_CHANGE}")


WHAT_TO_CHANGE = "simplify that entry, use fewer entries, or read less of the answer (read_limit)"


def time_over(seconds: float) -> str:
    """Why it ended: its time is over."""
    return f"stopped after {seconds:.2g} s of computing"


def _from(keys: Sequence[str], place: int) -> str:
    after = len(keys) - place - 1
    rest = f" and the {after} after it" if after > 0 else ""
    return f"on entry {place + 1} ({keys[place]}){rest}" if place < len(keys) else "on any"
