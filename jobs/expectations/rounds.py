"""Reads CEL expressions sign by sign. Called by expressions.py and cel.py. Pure.

Puts a look at the clock into every round of an expression's comprehensions:
`items.all(i, i.ok)` becomes `items.all(i, _in_time() ? (i.ok) : false)`: a look that fails makes the round an error
without anything of it being evaluated, so that what is left of the rounds is soon over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

LOOK = "_in_time"

_KEPT = 4096

_TOKEN = re.compile(
    r"""
    //[^\n]*                                            # a comment
    | [rRbB]{0,2}(?:\"{3}(?:\\.|[^\\])*?\"{3} | '{3}(?:\\.|[^\\])*?'{3})
    | [rR](?:"[^"\n]*" | '[^'\n]*')                     # a raw text: a backslash is one
    | [bB]?(?:"(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*')
    | [A-Za-z_]\w*                                      # a name
    | .                                                 # anything else, sign by sign
    """,
    re.VERBOSE | re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_]\w*")
_MACROS = frozenset({"all", "exists", "exists_one", "existsOne", "filter", "map"})
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


def with_looks(expression: str) -> str:
    """The expression, which has no syntax errors, with its looks at the clock."""
    tokens = [token for token in _TOKEN.findall(expression) if not token.startswith("//")]
    return "".join(_written(iter(tokens)))


@lru_cache(_KEPT)
def names_of(expression: str) -> frozenset[str]:
    """The names that it takes from outside: none of a field, of a text, or that a macro gives to its items."""
    tokens = [token for token in _TOKEN.findall(expression) if not (token.startswith("//") or token.isspace())]
    names, given = set(), set()
    for number, token in enumerate(tokens):
        before = tokens[max(number - 3, 0) : number]
        if before[-1:] == ["."] or not _NAME.fullmatch(token):
            continue
        names.add(token)
        if before[:1] == ["."] and before[1] in _MACROS and before[2] == "(":
            given.add(token)
    return frozenset(names - given)


def _written(tokens: Iterator[str]) -> Iterator[str]:
    """The tokens up to the end; a macro's arguments are written anew."""
    before: list[str] = ["", ""]
    for token in tokens:
        yield token
        if token == "(" and before[1] in _MACROS and before[0] == ".":
            yield from _guarded(before[1], _arguments(tokens))
        if not token.isspace():
            before = [before[1], token]


def _arguments(tokens: Iterator[str]) -> list[list[str]]:
    """The tokens of each argument, up to the bracket that closes them."""
    arguments: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        if token in _OPEN:
            depth += 1
        elif token in _CLOSE:
            if depth == 0:
                return arguments
            depth -= 1
        if token == "," and depth == 0:
            arguments.append([])
        else:
            arguments[-1].append(token)
    return arguments


def _guarded(macro: str, arguments: list[list[str]]) -> Iterator[str]:
    texts = ["".join(_written(iter(argument))) for argument in arguments]
    if macro == "map" and len(texts) == 2:
        texts.insert(1, "true")
    if len(texts) > 1:
        texts[1] = f"{LOOK}() ? ({texts[1]}) : false"
    yield ", ".join(texts) + ")"
