"""Regular expressions: validated at load, compiled once for each text, with a timeout for each search.

Used by the entries and comparisons, and by jobs.targets and jobs.checks. The library is imported with its first use, as
most jobs have no pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, Field

from jobs.expectations.budget import ComputeAllowance
from jobs.expectations.engines.compiled_cache import CompiledCache
from jobs.expectations.engines.pattern_size import PatternTooLarge, pattern_size

if TYPE_CHECKING:
    import regex

LONGEST_PATTERN = 1000
"""Characters of a pattern, of a JSONPath and of an expression."""

SEARCH_SECONDS = 0.1
"""Timeout of one search: catastrophic backtracking blocks the thread."""
_NO_DECISION = f"no decision within {SEARCH_SECONDS * 1000:.0f} ms: simplify the pattern"

_LONGEST_SHOWN = 100
"""Characters of a pattern that an error shows."""

_MOST_ELEMENTS_HELD = 250_000
"""Elements of all cached patterns: about 70 MiB. A usual pattern has ten to a hundred."""

# A partial match treats the end of the text as its end: a word boundary, a lookaround, a fuzzy or a recursive pattern
# fails there although more text could match. Groups, names and flags without that effect are excluded.
_LOOKS_AROUND = re.compile(r"\\[bBmMGKX]|\(\?(?!:|P?<\w|[aimsux]+\))|\(\*|\{[^}]*[^\d,}]")


class LimitExceeded(Exception):
    """A pattern, a JSONPath or an expression reached its limit; the message is a clause."""


class InvalidPattern(ValueError):
    """The text is not a regular expression; the message is the reason."""

    def __init__(self, reason: str, *, is_too_deep: bool = False) -> None:
        super().__init__(reason)
        self.is_too_deep = is_too_deep


def compile_pattern(pattern: str, flags: int = 0) -> tuple[regex.Pattern[str], int]:
    """Measure and compile a pattern from a job file or a document. The only place that compiles such patterns.

    Returns the compiled pattern and its size in elements (see pattern_size).

    Raises:
        PatternTooLarge: it would need too much memory.
        InvalidPattern: it is not valid; the message is the reason.
    """
    import regex

    try:
        size = pattern_size(pattern, flags)
        # Bypass the library's own cache, which has no limit of size.
        return regex.compile(pattern, flags, cache_pattern=False), size
    except PatternTooLarge:
        raise
    except RecursionError:
        raise InvalidPattern("it is nested too deeply", is_too_deep=True) from None
    except MemoryError:
        raise InvalidPattern("not enough memory to compile it: simplify it") from None
    except (regex.error, ValueError, LookupError, OverflowError, TypeError, AttributeError) as error:
        # The parser raises any of these for invalid input, such as `(?L)` or an unknown name.
        raise InvalidPattern(str(error) or type(error).__name__) from None


_patterns = CompiledCache(compile_pattern, _MOST_ELEMENTS_HELD)


def search(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text. Raises LimitExceeded, BudgetExceeded."""
    return _search(pattern, text) is not None


def _search(pattern: str, text: str) -> regex.Match[str] | None:
    return search_within_limit(_patterns.get_compiled(pattern).search, text, LimitExceeded(_NO_DECISION))


def search_within_limit(
    find: Callable[..., regex.Match[str] | None], text: str, too_long: Exception
) -> regex.Match[str] | None:
    """Call a method of a compiled pattern with a timeout of CPU time. Raises `too_long`, BudgetExceeded.

    `regex` measures wall-clock time: if the thread got too little CPU time, the search is repeated with more.
    """
    allowance = ComputeAllowance(SEARCH_SECONDS)
    try:
        return find(text, timeout=allowance.seconds)
    except TimeoutError:
        left = allowance.remaining
    if left > allowance.seconds / 2:
        share = max(1 - left / allowance.seconds, 0.1)
        with suppress(TimeoutError):
            return find(text, timeout=allowance.seconds / share)
    raise allowance.timeout_error(too_long)


def can_still_match(pattern: str, text: str) -> bool:
    """Whether the pattern, which does not match this text, could match with more text after it.

    True also if that is unknown: for patterns with lookarounds, and when the search times out. Raises BudgetExceeded.
    """
    if _LOOKS_AROUND.search(pattern) is not None:
        return True
    try:
        find = partial(_patterns.get_compiled(pattern).search, partial=True)
        return search_within_limit(find, text, LimitExceeded(_NO_DECISION)) is not None
    except LimitExceeded:
        return True


def find_first(pattern: str, text: str) -> str | None:
    """Return the first match: its first group, or all of it. Raises LimitExceeded, BudgetExceeded."""
    found = _search(pattern, text)
    if found is None:
        return None
    return found[1] if found.re.groups and found[1] is not None else str(found[0])


def _valid_pattern(pattern: str) -> str:
    # A long pattern would leave no room for the reason.
    shown = repr(pattern) if len(pattern) <= _LONGEST_SHOWN else "the pattern"
    try:
        _patterns.get_compiled(pattern)
    except PatternTooLarge as error:
        raise ValueError(f"{shown} is too large: {error}") from None
    except InvalidPattern as error:
        raise ValueError(f"{shown} is not a regular expression: {error}") from None
    return pattern


PatternField = Annotated[str, Field(max_length=LONGEST_PATTERN), AfterValidator(_valid_pattern)]
"""A field of a regular expression."""

NonEmptyPatternField = Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN), AfterValidator(_valid_pattern)]
"""A field of a regular expression that is not empty: the empty one matches every text."""
