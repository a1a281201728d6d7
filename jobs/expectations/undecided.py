"""The failure of a judgement that stopped before it decided all entries. Pure.

Called by judging.py when the budget is used up, and by jobs.judging when its process ended.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.formats.counts import format_count
from jobs.runs import Failure

UNDECIDED_KEY = "judgement"
"""The key of this failure, in index of an entry's key."""


def undecided_failure(keys: Sequence[str], index: int, why: str) -> Failure:
    """Return the failure. `keys`: of all entries; `index`: index of the first undecided one; `why`: a clause."""
    count = len(keys)
    expected = f"a decision on {format_count(count, 'entry', 'entries')}"
    return Failure(UNDECIDED_KEY, expected, f"none {_describe_position(keys, index)}: {why}; {UNDECIDED_REMEDY}")


UNDECIDED_REMEDY = "simplify that entry, use fewer entries, or read less of the answer (read_limit)"


def describe_exceeded_budget(seconds: float) -> str:
    """Return the clause for a judgement that used up its budget."""
    return f"stopped after {seconds:.2g} s of CPU time"


def _describe_position(keys: Sequence[str], index: int) -> str:
    after = len(keys) - index - 1
    rest = f" and the {after} after it" if after > 0 else ""
    return f"on entry {index + 1} ({keys[index]}){rest}" if index < len(keys) else "on any"
