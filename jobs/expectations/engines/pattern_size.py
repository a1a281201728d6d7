"""Measures a regular expression before it is compiled. Called by regular_expressions.py.

The library `regex` expands counted repeats: `a{3}` becomes three elements and `(?:a{3000}){3000}` nine million, at
about 270 bytes each, while it holds the interpreter lock. `+` and `{1,}` are one copy and a loop, so they double their
content. The size is computed from the tree of the library's own parser, because only that is correct for its whole
syntax: comments, sets, inline flags, fuzzy constraints, calls of groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MOST_PATTERN_ELEMENTS = 20_000
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
        PatternTooLarge: it has more than MOST_PATTERN_ELEMENTS.
        regex.error: it is not valid.
    """
    tree, calls_groups = _parse(pattern, flags)
    total = 0
    below: list[tuple[Any, int, tuple[int, ...]]] = [(tree, 1, ())]
    while below:
        node, copies, counts = below.pop()
        total += copies * _elements(node)
        if total > MOST_PATTERN_ELEMENTS:
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
    text = f"it has more than {MOST_PATTERN_ELEMENTS:,} elements when its repeats are expanded"
    if counts:
        text += f" (nested repeats: {' times '.join(f'{count:,}' for count in counts[:6])} copies"
        text += " and more)" if len(counts) > 6 else ")"
    return f"{text}; lower the counts, or start them at 0, as in a* or a{{0,9}}, which are not expanded"
