"""Replaces environment variables in a Gatus document, as Gatus does before it reads it. Called by files. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from config.importers.errors import NotCarriedOver
from config.importers.node import SourceNode, SourceTree
from config.importers.values.reading import read_text

_REFERENCE = re.compile(r"\$(?:\$|\{(?P<braced>[^{}]*)\}|(?P<bare>[A-Za-z_][A-Za-z0-9_]*))")
_UNKNOWN = re.compile(r"\$\{([^{}]*)\}")


def expand_tree(tree: SourceTree, variables: Mapping[str, str]) -> SourceTree:
    """Return the same tree with the values of known variables; `$$` is a dollar sign, unknown ones become `${NAME}`."""
    return SourceTree(tree.file, _expand(tree.value, variables), tree.line_of, tree.show_path)


def read_known_text(node: SourceNode) -> str:
    """Return a text without unknown variables. Raises NotCarriedOver."""
    text = read_text(node)
    if (found := _UNKNOWN.search(text)) is not None:
        raise NotCarriedOver(f"the value of the variable {found[1]} is not known", f"--set {found[1]}=VALUE")
    return text


def _expand(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _expand_text(value, variables) if "$" in value else value
    if isinstance(value, dict):
        return {key: _expand(one, variables) for key, one in value.items()}
    if isinstance(value, list):
        return [_expand(one, variables) for one in value]
    return value


def _expand_text(text: str, variables: Mapping[str, str]) -> str:
    def replace(found: re.Match[str]) -> str:
        if found[0] == "$$":
            return "$"
        name = found["braced"] if found["braced"] is not None else found["bare"]
        return variables.get(name, f"${{{name}}}")

    return _REFERENCE.sub(replace, text)
