"""Finds the literal patterns of a JSONPath query: the second arguments of `match` and `search`. Pure.

Called by jsonpath.py at load. It reads the text of a valid query, because the versions of the library have different
syntax trees.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

_TOKEN = re.compile(r"'(?:\\.|[^'\\])*'|\"(?:\\.|[^\"\\])*\"|[A-Za-z_][\w-]*|\s+|.", re.DOTALL)
_FUNCTIONS = frozenset({"match", "search"})
_OPEN, _CLOSE = frozenset("([{"), frozenset(")]}")


def literal_patterns(query: str) -> Iterator[str]:
    """Yield the patterns in their order, unescaped."""
    tokens = [token for token in _TOKEN.findall(query) if not token.isspace()]
    for index in range(len(tokens) - 1):
        if tokens[index] in _FUNCTIONS and tokens[index + 1] == "(":
            argument = _second_argument(tokens[index + 2 :])
            if len(argument) == 1 and argument[0][0] in "'\"":
                yield _read(argument[0])


def _second_argument(tokens: list[str]) -> list[str]:
    arguments: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        if token in _CLOSE:
            if depth == 0:
                break
            depth -= 1
        if token in _OPEN:
            depth += 1
        if token == "," and depth == 0:
            arguments.append([])
        else:
            arguments[-1].append(token)
    return arguments[1] if len(arguments) > 1 else []


_OTHER_QUOTES = {"\\'": "'", '"': '\\"'}


def _read(literal: str) -> str:
    inner = literal[1:-1]
    if literal[0] == "'":
        # JSON allows only double quotes.
        inner = re.sub(r"\\.|\"", lambda found: _OTHER_QUOTES.get(found[0], found[0]), inner, flags=re.DOTALL)
    text: str = json.loads(f'"{inner}"', strict=False)
    return text
