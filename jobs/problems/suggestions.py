"""Suggests the known name that is nearest to a wrong one. Used by jobs.problems, jobs.flat, config and scheduler."""

from __future__ import annotations

import difflib
from bisect import bisect_left
from collections.abc import Iterable, Sequence

_MOST_COMPARED_NAMES = 200
"""Names that a wrong one is compared with: a comparison with 10,000 names takes a second."""


def fold_name(name: str) -> str:
    """Normalize case, underscores, hyphens and blanks: `Http_Method` and `httpmethod` become equal."""
    return name.casefold().replace("_", "").replace("-", "").replace(" ", "")


def suggest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name nearest to `name`; None if there is no similar one.

    A known name can be a path (`check.url`), which is suggested for its last part.
    """
    folded = fold_name(name)
    if not folded or len(folded) > 100:
        return None
    here: dict[str, str] = {}
    below: dict[str, str] = {}
    for one in known:
        level = below if "." in one else here
        level.setdefault(fold_name(one.rpartition(".")[2]), one)
    if exact := here.get(folded) or below.get(folded):
        return exact
    completed = [one for one in here if len(folded) > 2 and one.startswith(folded)]
    near = completed or difflib.get_close_matches(folded, here, n=1, cutoff=0.6)
    return here[near[0]] if near else None


def suggest_sorted_name(name: str, names: Sequence[str]) -> str | None:
    """Return the nearest of many sorted names, among those around the position of this one."""
    place = bisect_left(names, name)
    return suggest_name(name, names[max(0, place - _MOST_COMPARED_NAMES // 2) : place + _MOST_COMPARED_NAMES // 2])


def did_you_mean(name: str | None) -> str:
    """Return `, did you mean NAME?`, or an empty text."""
    return f", did you mean {name}?" if name else ""


def join_names(names: Iterable[str]) -> str:
    """Join names for a message, without paths to deeper levels."""
    return ", ".join(dict.fromkeys(name for name in names if "." not in name))
