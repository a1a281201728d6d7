"""Reads values of nodes as the type that a source expects, durations and tags included. Raises NotCarriedOver with
what was expected."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import SplitResult, urlsplit

from importers.source_tree import NotCarriedOver, SourceNode
from jobs.formats import format_duration

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


def read_flag(node: SourceNode | None) -> bool:
    """Return true or false; false without a node or for null."""
    return node is not None and node.value is not None and read_boolean(node)


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


def read_list(node: SourceNode | None) -> list[SourceNode]:
    """Return the entries of a list; none without a node or for null."""
    if node is None or node.value is None:
        return []
    if isinstance(node.value, list):
        return list(node.children())
    raise NotCarriedOver(f"expected a list, found {describe_type(node.value)}")


def read_mapping(node: SourceNode | None) -> dict[str, SourceNode]:
    """Return the values of a mapping by key; none without a node or for null."""
    if node is None or node.value is None:
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


def write_ranges(numbers: Iterable[int]) -> list[str]:
    """Return ascending numbers as texts such as `1` and `3-5`."""
    ranges: list[list[int]] = []
    for number in numbers:
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1][1] = number
        else:
            ranges.append([number, number])
    return [str(first) if first == last else f"{first}-{last}" for first, last in ranges]


def split_url(text: str) -> SplitResult:
    """Return the parts of a URL. Raises NotCarriedOver."""
    try:
        return urlsplit(text)
    except ValueError:
        raise NotCarriedOver("the URL is not valid") from None


_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "m": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
    "y": 31536000.0,
}
_PART = re.compile(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|[smhdwy])")
_MAX_SECONDS = 366 * 86400.0


def parse_seconds(text: str) -> float | None:
    """Return the seconds of a duration such as `1h30m` or `1.5s`; None if the text is not one."""
    written = text.strip().removeprefix("+")
    if written == "0":
        return 0.0
    at, total = 0, 0.0
    while at < len(written):
        part = _PART.match(written, at)
        if part is None:
            return None
        total += float(part[1]) * _UNITS[part[2]]
        at = part.end()
    return total if written else None


def read_seconds(node: SourceNode) -> float:
    """Return the seconds of a node. Raises NotCarriedOver."""
    seconds = parse_seconds(read_text(node))
    if seconds is None or seconds > _MAX_SECONDS:
        raise NotCarriedOver("expected a duration such as 30s or 5m")
    return seconds


def write_duration(seconds: float) -> str:
    """Return the text of a job file: whole milliseconds, at least one."""
    return format_duration(max(round(seconds, 3), 0.001))


def split_tags(tags: Iterable[str]) -> dict[str, str]:
    """Return `env:prod` and `env=prod` as a name with a value; a tag without a value has the value `true`."""
    return join_tags(map(_split_tag, tags))


def _split_tag(tag: str) -> tuple[str, str]:
    separator = min((tag.find(sign) for sign in ":=" if tag.find(sign) > 0), default=-1)
    return (tag[:separator], tag[separator + 1 :]) if separator > 0 else (tag, "")


def join_tags(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return tags by name. Values of a name that occurs several times are joined by commas."""
    tags: dict[str, str] = {}
    for name, value in ((name.strip(), value.strip() or "true") for name, value in pairs):
        known = tags.get(name)
        if name:
            tags[name] = value if known is None or value in known.split(",") else f"{known},{value}"
    return tags
