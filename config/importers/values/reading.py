"""Reads values of nodes as the type that a source expects. Raises NotCarriedOver with what was expected."""

from __future__ import annotations

import math
from typing import Any
from urllib.parse import SplitResult, urlsplit

from config.importers.errors import NotCarriedOver
from config.importers.node import SourceNode

_TRUE = frozenset({"true", "yes", "on", "y"})
_FALSE = frozenset({"false", "no", "off", "n"})


def read_text(node: SourceNode) -> str:
    """Return a text; numbers as they are written in JSON."""
    value = node.value
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    raise NotCarriedOver(f"expected a text, found {describe_type(value)}")


def read_optional_text(node: SourceNode | None) -> str:
    """Return a text; empty without a node or for null."""
    return "" if node is None or node.value is None else read_text(node)


def find_text(node: SourceNode | None) -> str:
    """Return a text; empty for anything else. For names, without which a job has another one."""
    return node.value if node is not None and isinstance(node.value, str) else ""


def read_boolean(node: SourceNode) -> bool:
    """Return true or false; also for the words of YAML 1.1, which the sources' own readers accept."""
    value = node.value
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in _TRUE | _FALSE:
        return value.lower() in _TRUE
    raise NotCarriedOver(f"expected true or false, found {describe_type(value)}")


def read_integer(node: SourceNode) -> int:
    """Return a whole number; also of a text with one."""
    value = node.value
    if isinstance(value, str) and value.strip().removeprefix("-").isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, float) and math.isfinite(value) and value.is_integer():
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise NotCarriedOver(f"expected a whole number, found {describe_type(value)}")


def read_list(node: SourceNode) -> list[SourceNode]:
    """Return the entries of a list; none for null."""
    if node.value is None:
        return []
    if isinstance(node.value, list):
        return list(node.children())
    raise NotCarriedOver(f"expected a list, found {describe_type(node.value)}")


def read_mapping(node: SourceNode) -> dict[str, SourceNode]:
    """Return the values of a mapping by key; none for null."""
    if node.value is None:
        return {}
    if isinstance(node.value, dict):
        return {child.key: child for child in node.children()}
    raise NotCarriedOver(f"expected a mapping, found {describe_type(node.value)}")


def describe_type(value: Any) -> str:
    """Return words for what a value is, without the value, which can be a secret."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true or false"
    words = {str: "a text", int: "a number", float: "a number", dict: "a mapping", list: "a list"}
    return words.get(type(value), type(value).__name__)


def split_url(text: str) -> SplitResult:
    """Return the parts of a URL. Raises NotCarriedOver."""
    try:
        return urlsplit(text)
    except ValueError:
        raise NotCarriedOver("the URL is not valid") from None
