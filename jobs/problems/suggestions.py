"""Which known name somebody probably meant. Used by jobs.problems, jobs.flat and config."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Sequence

_MOST_COMPARED_NAMES = 200
"""Names that a wrong one is compared with: with all of 10,000 the process would do nothing else for a second."""


def fold_name(name: str) -> str:
    """A name without case, underscores, hyphens and blanks: `Http_Method` and `httpmethod` are one."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


def suggest_name(name: str, known: Iterable[str]) -> str | None:
    """The known name nearest to `name`, None when none is near.

    A known name may be a path (`check.url`): it is suggested for its last part, written at the wrong level.
    """
    wanted = fold_name(name)
    if not wanted or len(wanted) > 100:
        return None
    here: dict[str, str] = {}
    below: dict[str, str] = {}
    for one in known:
        level = below if "." in one else here
        level.setdefault(fold_name(one.rpartition(".")[2]), one)
    if exact := here.get(wanted) or below.get(wanted):
        return exact
    begun = [one for one in here if len(wanted) > 2 and one.startswith(wanted)]
    near = begun or difflib.get_close_matches(wanted, here, n=1, cutoff=0.6)
    return here[near[0]] if near else None


def suggest_sorted_name(name: str, names: Sequence[str]) -> str | None:
    """The nearest of many names, which are sorted: of those about the place where this one would stand."""
    place = bisect_left(names, name)
    return suggest_name(name, names[max(0, place - _MOST_COMPARED_NAMES // 2) : place + _MOST_COMPARED_NAMES // 2])


def did_you_mean(name: str | None) -> str:
    """`, did you mean NAME?`, or nothing."""
    return f", did you mean {name}?" if name else ""


def join_names(names: Iterable[str]) -> str:
    """Names for a sentence; paths to deeper levels are left out."""
    return ", ".join(dict.fromkeys(name for name in names if "." not in name))
