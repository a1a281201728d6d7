"""How large a regular expression becomes when it is compiled, before that is done. Called by patterns.py.

The library `regex` writes counted repeats out: `a{3}` becomes three elements and `(?:a{3000}){3000}` nine million, at
some 270 bytes each, while it holds the interpreter's lock. `+` and `{1,}` are one written out and one that loops, so
that they double what they nest. The size is taken from the tree that the library's own parser builds, because only that
is right for all of its syntax: comments, sets, inline flags, fuzzy constraints, calls of groups.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MOST_ELEMENTS = 20_000
"""Elements that a pattern may have when its repeats are written out: some 5 MiB and 10 to 20 ms."""

_FOLDED = 4
"""Elements of a character that is compared by full case folding (`(?fi)`): `ﬃ` is `ffi` as well."""
_FOLDED_SET = 160
"""Elements of a set that is: it may become one of a hundred texts."""
_COPIES_OF_CALLED = 4
"""A group that is called, such as by `(?1)`, is compiled once more for each way to go through it: backwards, fuzzy."""
_EMPTY = 8
"""Elements of nothing, such as in `()`: many empty groups in a row take time by the square of their number."""
_ELEMENTS = {"Grapheme": 6, "CallGroup": 2, "Conditional": 2, "LookAroundConditional": 2}
"""Kinds of elements that are more than one."""


class PatternTooLarge(ValueError):
    """The pattern becomes larger than is allowed; the message says what to change."""


def size_of(pattern: str, flags: int = 0) -> int:
    """Return how many elements the pattern has when its repeats are written out.

    Raises:
        PatternTooLarge: it becomes larger than MOST_ELEMENTS.
        regex.error: it is not valid.
    """
    tree, calls_groups = _parsed(pattern, flags)
    total = 0
    below: list[tuple[Any, int, tuple[int, ...]]] = [(tree, 1, ())]
    while below:
        node, copies, counts = below.pop()
        total += copies * _elements(node)
        if total > MOST_ELEMENTS:
            raise PatternTooLarge(_explanation(counts))
        if (written := _written_out(node)) != 1:
            copies, counts = copies * written, (*counts, max(2, written - 1))
        elif calls_groups and type(node).__name__ == "Group":
            copies *= _COPIES_OF_CALLED
        elif _is_set(node):
            copies = 1  # its copies share what is in it
        below += [(child, copies, counts) for child in _children(node)]
    return total


def _library() -> Any:
    """The module with the parser, which the library does not declare public: a test notices when it changes."""
    from regex import _regex_core

    return _regex_core


def _parsed(pattern: str, flags: int) -> tuple[Any, bool]:
    """The parser's tree, and whether it calls groups. As `regex.compile` does it: a flag may need a second attempt."""
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


def _written_out(node: Any) -> int:
    """How often what this element repeats stands in the compiled pattern."""
    least: int | None = getattr(node, "min_count", None)
    # Its least number of copies, and one that loops; the latter is dropped, if it is not needed, after it was written.
    return 1 if least is None else least + 1


def _explanation(counts: tuple[int, ...]) -> str:
    text = f"it becomes larger than {MOST_ELEMENTS:,} elements when its repeats are written out"
    if counts:
        text += f", which are nested here: {' times '.join(f'{count:,}' for count in counts[:6])} copies"
        text += " and more" if len(counts) > 6 else ""
    return f"{text}; lower the counts, or let them begin at 0, as in a* or a{{0,9}}, which are not written out"
