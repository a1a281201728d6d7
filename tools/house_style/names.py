"""The names that a Python file defines, by their parts. Called by tools.house_style.check.

Names of others that the file only uses are not judged, nor are dunder names.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from tools.house_style.prose import parse

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")


def defined_names(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of each class, function, parameter, variable and attribute that is defined."""
    for node in ast.walk(parse(text)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.ExceptHandler | ast.alias) and (name := node.name or ""):
            own = node.asname if isinstance(node, ast.alias) else name
            if own:
                yield node.lineno, own


def parts_of(name: str) -> str:
    """Return the parts of a name as words: `_told_runs`, `ToldRuns` and `told-runs` are `told runs`."""
    return " ".join(part.lower() for part in _PART.findall(name))
