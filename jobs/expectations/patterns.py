"""Regular expressions: checked at load, compiled once for each text, bounded when used.

Called by entries.py. The library is imported with its first use: most jobs need none.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    import regex

LONGEST = 1000
"""Characters of a pattern, and of a JSONPath query."""

SEARCH_SECONDS = 0.1
"""A pattern that backtracks for ever is given up after this, for it holds everything else up."""

_KEPT = 16_384

# A partial match takes the end of the text for its end: a word's boundary, a lookaround, a fuzzy or a recursive pattern
# fails there that could hold with more text. Groups, names and flags that change nothing of that are let through.
_LOOKS_AROUND = re.compile(r"\\[bBmMGKX]|\(\?(?!:|P?<\w|[aimsux]+\))|\(\*|\{[^}]*[^\d,}]")


class TooMuchWork(Exception):
    """A pattern or a query did not come to its end within its bounds."""


@lru_cache(_KEPT)
def _compiled_pattern(pattern: str) -> regex.Pattern[str]:
    import regex

    return regex.compile(pattern)


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text. Raises TooMuchWork."""
    try:
        return _compiled_pattern(pattern).search(text, timeout=SEARCH_SECONDS) is not None
    except TimeoutError:
        raise TooMuchWork(f"no decision within {SEARCH_SECONDS * 1000:.0f} ms: make the pattern simpler") from None


def can_still_match(pattern: str, text: str) -> bool:
    """Whether the pattern may be found once more text has come after this one, which has no match.

    True also where that is not known: for patterns that look around, and where the search takes too long.
    """
    if _LOOKS_AROUND.search(pattern) is not None:
        return True
    try:
        return _compiled_pattern(pattern).search(text, partial=True, timeout=SEARCH_SECONDS) is not None
    except TimeoutError:
        return True


def find(pattern: str, text: str) -> str | None:
    """What the pattern finds first in the text: its first group, or the whole match. Raises TooMuchWork."""
    try:
        found = _compiled_pattern(pattern).search(text, timeout=SEARCH_SECONDS)
    except TimeoutError:
        raise TooMuchWork(f"no decision within {SEARCH_SECONDS * 1000:.0f} ms: make the pattern simpler") from None
    if found is None:
        return None
    return found[1] if found.re.groups and found[1] is not None else str(found[0])


def _valid_pattern(pattern: str) -> str:
    import regex

    try:
        _compiled_pattern(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise ValueError(f"{pattern!r} is not a regular expression: {reason}") from None
    return pattern


Pattern = Annotated[str, Field(max_length=LONGEST), AfterValidator(_valid_pattern)]
"""A field of a regular expression."""

SomePattern = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_valid_pattern)]
"""The same, where an empty one would say nothing: it is found in every text."""
