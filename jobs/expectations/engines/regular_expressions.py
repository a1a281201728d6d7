"""Regular expressions: validated and measured at load, compiled once for each text, with a timeout for each search.

The library `regex` is imported with its first use, as most jobs have no pattern. It expands counted repeats: `a{3}`
becomes three elements and `(?:a{3000}){3000}` nine million, at about 270 bytes each, while it holds the interpreter
lock. `+` and `{1,}` are one copy and a loop, so they double their content. The size is computed from the tree of the
library's own parser, because only that is correct for its whole syntax: comments, sets, inline flags, fuzzy
constraints, calls of groups.

The cache of what is compiled limits the total size, not only the number: a text of 1,000 characters from a job file can
compile to megabytes.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Generic, TypeVar

from pydantic import AfterValidator, Field

from jobs.expectations.budget import ComputeAllowance

if TYPE_CHECKING:
    import regex

T = TypeVar("T")


class CompiledCache(Generic[T]):
    """Compiles each text once, and evicts the least recently used. Thread-safe."""

    def __init__(self, compile_text: Callable[[str], tuple[T, int]], capacity: int) -> None:
        """`compile_text`: returns the compiled object, and its size in the unit of `capacity`.

        `capacity`: the largest total size; the latest object is cached whatever its size.
        """
        self._compile = compile_text
        self._capacity = capacity
        self._held: OrderedDict[str, tuple[T, int]] = OrderedDict()
        self._lock = threading.Lock()
        self.size = 0
        """The total size of the cached objects."""

    def get_compiled(self, text: str) -> T:
        """Return the compiled object of a text. Raises the errors of `compile_text`."""
        with self._lock:
            held = self._held.get(text)
            if held is not None:
                self._held.move_to_end(text)
                return held[0]
        compiled, size = self._compile(text)
        with self._lock:
            self._put(text, compiled, size)
        return compiled

    def _put(self, text: str, compiled: T, size: int) -> None:
        _, before = self._held.pop(text, (None, 0))
        self.size += size - before
        self._held[text] = compiled, size
        while self.size > self._capacity and len(self._held) > 1:
            _, (_, dropped) = self._held.popitem(last=False)
            self.size -= dropped


MAX_PATTERN_ELEMENTS = 20_000
"""Elements of a pattern with its repeats expanded: about 5 MiB, compiled in 10 to 20 ms."""

_FOLDED = 4
"""Elements of a character with full case folding (`(?fi)`): `ﬃ` also matches `ffi`."""
_FOLDED_SET = 160
"""Elements of a set with full case folding: it can match a hundred texts."""
_COPIES_OF_CALLED = 4
"""A called group, such as by `(?1)`, is compiled once more for each mode: backwards, fuzzy."""
_EMPTY = 8
"""Elements of an empty sequence, as in `()`: the time for many empty groups in a row is quadratic."""
_ELEMENTS = {"Grapheme": 6, "CallGroup": 2, "Conditional": 2, "LookAroundConditional": 2}
"""Kinds of nodes that are more than one element."""


class PatternTooLarge(ValueError):
    """The pattern has more elements than allowed; the message contains the remedy."""


def pattern_size(pattern: str, flags: int = 0) -> int:
    """Return the number of elements of the pattern with its repeats expanded.

    Raises:
        PatternTooLarge: it has more than MAX_PATTERN_ELEMENTS.
        regex.error: it is not valid.
    """
    tree, calls_groups = _parse(pattern, flags)
    total = 0
    below: list[tuple[Any, int, tuple[int, ...]]] = [(tree, 1, ())]
    while below:
        node, copies, counts = below.pop()
        total += copies * _elements(node)
        if total > MAX_PATTERN_ELEMENTS:
            raise PatternTooLarge(_explain_size(counts))
        if (written := _count_copies(node)) != 1:
            copies, counts = copies * written, (*counts, max(2, written - 1))
        elif calls_groups and type(node).__name__ == "Group":
            copies *= _COPIES_OF_CALLED
        elif _is_set(node):
            copies = 1  # the copies of a set share its content
        below += [(child, copies, counts) for child in _children(node)]
    return total


def _library() -> Any:
    """The module of the parser, which is not public: a test fails when it changes."""
    from regex import _regex_core

    return _regex_core


def _parse(pattern: str, flags: int) -> tuple[Any, bool]:
    """Return the parser's tree, and whether it calls groups. Like `regex.compile`: a flag can need a second pass."""
    core = _library()
    while True:
        source = core.Source(pattern)
        info = core.Info(flags, source.char_type, {})
        info.guess_encoding = core.UNICODE
        source.ignore_space = bool(info.flags & core.VERBOSE)
        try:
            tree = core._parse_pattern(source, info)
        except core._UnscopedFlagSet:
            flags = info.global_flags
            continue
        return tree, any(f"(?{sign}" in pattern for sign in ("&", "P>", "R", "+", "-", *"0123456789"))


def _children(node: Any) -> Iterator[Any]:
    core = _library()
    for value in vars(node).values():
        held = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else (value,)
        for one in held:
            if isinstance(one, core.RegexBase):
                yield one


def _elements(node: Any) -> int:
    if getattr(node, "case_flags", 0) and _is_folded(node.case_flags):
        return _FOLDED_SET if isinstance(node, _library().SetBase) else _FOLDED
    kind = type(node).__name__
    return _EMPTY if kind == "Sequence" and not node.items else _ELEMENTS.get(kind, 1)


def _is_folded(case_flags: int) -> bool:
    both = int(_library().FULLIGNORECASE)
    return case_flags & both == both


def _is_set(node: Any) -> bool:
    return isinstance(node, _library().SetBase) and not _is_folded(node.case_flags)


def _count_copies(node: Any) -> int:
    """How many copies of its content this node has in the compiled pattern."""
    least: int | None = getattr(node, "min_count", None)
    # The minimum number of copies and one loop; an unnecessary loop is removed only after it was compiled.
    return 1 if least is None else least + 1


def _explain_size(counts: tuple[int, ...]) -> str:
    text = f"it has more than {MAX_PATTERN_ELEMENTS:,} elements when its repeats are expanded"
    if counts:
        text += f" (nested repeats: {' times '.join(f'{count:,}' for count in counts[:6])} copies"
        text += " and more)" if len(counts) > 6 else ")"
    return f"{text}; lower the counts, or start them at 0, as in a* or a{{0,9}}, which are not expanded"


MAX_PATTERN = 1000
"""Characters of a pattern, of a JSONPath and of an expression."""

SEARCH_SECONDS = 0.1
"""Timeout of one search: catastrophic backtracking blocks the thread."""
_NO_DECISION = f"no decision within {SEARCH_SECONDS * 1000:.0f} ms: simplify the pattern"

_MAX_SHOWN = 100
"""Characters of a pattern that an error shows."""

_MAX_ELEMENTS_HELD = 250_000
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


_patterns = CompiledCache(compile_pattern, _MAX_ELEMENTS_HELD)


def search(pattern: str, text: str) -> bool:
    """Whether the pattern matches anywhere in the text. Raises LimitExceeded, BudgetExceeded."""
    return _search(pattern, text) is not None


def matches_whole(pattern: str, text: str) -> bool:
    """Return whether the pattern matches the whole text. Raises LimitExceeded, BudgetExceeded."""
    find = _patterns.get_compiled(pattern).fullmatch
    return search_within_limit(find, text, LimitExceeded(_NO_DECISION)) is not None


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
    shown = repr(pattern) if len(pattern) <= _MAX_SHOWN else "the pattern"
    try:
        _patterns.get_compiled(pattern)
    except PatternTooLarge as error:
        raise ValueError(f"{shown} is too large: {error}") from None
    except InvalidPattern as error:
        raise ValueError(f"{shown} is not a regular expression: {error}") from None
    return pattern


PatternField = Annotated[str, Field(max_length=MAX_PATTERN), AfterValidator(_valid_pattern)]
"""A field of a regular expression."""

NonEmptyPatternField = Annotated[str, Field(min_length=1, max_length=MAX_PATTERN), AfterValidator(_valid_pattern)]
"""A field of a regular expression that is not empty: the empty one matches every text."""
