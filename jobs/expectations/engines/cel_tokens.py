"""Splits CEL expressions into tokens, finds their variables and inserts deadline checks. Called by cel.py
and entries/cel.py. Pure.

Every round of a comprehension gets a deadline check: `items.all(i, i.ok)` becomes
`items.all(i, _in_time() ? (i.ok) : false)`. A failed check makes the round an error without evaluating it, so the
remaining rounds end quickly.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

DEADLINE_FUNCTION = "_in_time"

_MOST_CACHED_EXPRESSIONS = 4096

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


def inject_deadline_checks(expression: str) -> str:
    """Insert the deadline checks into a valid expression."""
    tokens = [token for token in _TOKEN.findall(expression) if not token.startswith("//")]
    return "".join(_rewrite(iter(tokens)))


@lru_cache(_MOST_CACHED_EXPRESSIONS)
def free_names(expression: str) -> frozenset[str]:
    """Return the names of its variables, without fields, texts and the loop variables of macros."""
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


def _rewrite(tokens: Iterator[str]) -> Iterator[str]:
    """Yield the tokens up to the end, with the rewritten arguments of macros."""
    before: list[str] = ["", ""]
    for token in tokens:
        yield token
        if token == "(" and before[1] in _MACROS and before[0] == ".":
            yield from _insert_check(before[1], _arguments(tokens))
        if not token.isspace():
            before = [before[1], token]


def _arguments(tokens: Iterator[str]) -> list[list[str]]:
    """Return the tokens of each argument, up to the closing bracket."""
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


def _insert_check(macro: str, arguments: list[list[str]]) -> Iterator[str]:
    texts = ["".join(_rewrite(iter(argument))) for argument in arguments]
    if macro == "map" and len(texts) == 2:
        texts.insert(1, "true")
    if len(texts) > 1:
        texts[1] = f"{DEADLINE_FUNCTION}() ? ({texts[1]}) : false"
    yield ", ".join(texts) + ")"
