"""Regular expressions: checked at load, compiled once for each text, bounded when used.

Called by entries.py. The library is imported with its first use: most jobs need none.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from jobs.expectations.budget import Allowance
from jobs.expectations.compiled_cache import CompiledCache
from jobs.expectations.pattern_size import PatternTooLarge, size_of

if TYPE_CHECKING:
    import regex

LONGEST = 1000
"""Characters of a pattern, and of a JSONPath query."""

SEARCH_SECONDS = 0.1
"""A pattern that backtracks for ever is given up after this, for it holds everything else up."""
_NO_DECISION = f"no decision within {SEARCH_SECONDS * 1000:.0f} ms: make the pattern simpler"

_LONGEST_SHOWN = 100
"""Characters of a pattern that an error repeats."""

_MOST_ELEMENTS_HELD = 250_000
"""Elements of all compiled patterns that are held: some 70 MiB; those of an honest pattern are ten to a hundred."""

# A partial match takes the end of the text for its end: a word's boundary, a lookaround, a fuzzy or a recursive pattern
# fails there that could hold with more text. Groups, names and flags that change nothing of that are let through.
_LOOKS_AROUND = re.compile(r"\\[bBmMGKX]|\(\?(?!:|P?<\w|[aimsux]+\))|\(\*|\{[^}]*[^\d,}]")


class TooMuchWork(Exception):
    """A pattern or a query did not come to its end within its bounds."""


class BadPattern(ValueError):
    """A text is not a regular expression; the message is the reason."""

    def __init__(self, reason: str, *, is_too_deep: bool = False) -> None:
        super().__init__(reason)
        self.is_too_deep = is_too_deep


def compile_pattern(pattern: str, flags: int = 0) -> tuple[regex.Pattern[str], int]:
    """Compile a pattern that somebody else wrote; every one of these goes through here.

    Returns it with its size, in elements (see pattern_size).

    Raises:
        PatternTooLarge: it would take too much memory.
        BadPattern: it is not valid; the message is the reason.
    """
    import regex

    try:
        size = size_of(pattern, flags)
        # Not in the library's own cache, which counts patterns and not their sizes.
        return regex.compile(pattern, flags, cache_pattern=False), size
    except PatternTooLarge:
        raise
    except RecursionError:
        raise BadPattern("it is nested too deeply", is_too_deep=True) from None
    except MemoryError:
        raise BadPattern("there is not enough memory to compile it: make it simpler") from None
    except (regex.error, ValueError, LookupError, OverflowError, TypeError, AttributeError) as error:
        # The library checks little of what its parser is given, such as `(?L)` or a name that does not exist.
        raise BadPattern(str(error) or type(error).__name__) from None


_patterns = CompiledCache(compile_pattern, _MOST_ELEMENTS_HELD)


def search(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text. Raises TooMuchWork, OutOfTime."""
    return _search(pattern, text) is not None


def _search(pattern: str, text: str) -> regex.Match[str] | None:
    return in_time(_patterns.get(pattern).search, text, TooMuchWork(_NO_DECISION))


def in_time(find: Callable[..., regex.Match[str] | None], text: str, too_long: Exception) -> regex.Match[str] | None:
    """Call a pattern's method within its time. Raises `too_long`, OutOfTime.

    `regex` measures the time of the day: where others kept the machine busy, the search is done again with more of it.
    """
    allowance = Allowance(SEARCH_SECONDS)
    try:
        return find(text, timeout=allowance.seconds)
    except TimeoutError:
        left = allowance.left
    if left > allowance.seconds / 2:
        share = max(1 - left / allowance.seconds, 0.1)
        with suppress(TimeoutError):
            return find(text, timeout=allowance.seconds / share)
    raise allowance.exceeded(too_long)


def can_still_match(pattern: str, text: str) -> bool:
    """Whether the pattern may be found once more text has come after this one, which has no match.

    True also where that is not known: for patterns that look around, and where the search takes too long. Raises
    OutOfTime.
    """
    if _LOOKS_AROUND.search(pattern) is not None:
        return True
    try:
        find = partial(_patterns.get(pattern).search, partial=True)
        return in_time(find, text, TooMuchWork(_NO_DECISION)) is not None
    except TooMuchWork:
        return True


def find(pattern: str, text: str) -> str | None:
    """What the pattern finds first in the text: its first group, or the whole match. Raises TooMuchWork, OutOfTime."""
    found = _search(pattern, text)
    if found is None:
        return None
    return found[1] if found.re.groups and found[1] is not None else str(found[0])


def _valid_pattern(pattern: str) -> str:
    # The whole of a long pattern would leave no room for the reason.
    shown = repr(pattern) if len(pattern) <= _LONGEST_SHOWN else "the pattern"
    try:
        _patterns.get(pattern)
    except PatternTooLarge as error:
        raise ValueError(f"{shown} is too large: {error}") from None
    except BadPattern as error:
        raise ValueError(f"{shown} is not a regular expression: {error}") from None
    return pattern


Pattern = Annotated[str, Field(max_length=LONGEST), AfterValidator(_valid_pattern)]
"""A field of a regular expression."""

SomePattern = Annotated[str, Field(min_length=1, max_length=LONGEST), AfterValidator(_valid_pattern)]
"""The same, where an empty one would say nothing: it is found in every text."""
