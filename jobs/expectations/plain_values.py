"""JSON values as a library in C++ can take them over. Called by expressions.py. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DEEPEST = 200
_LARGEST = 2**63


class TooDeep(Exception):
    """The value is nested too deeply."""


def plain(value: Any, depth: int = 0) -> Any:
    """The value without what has no counterpart: half a surrogate pair, an integer of more than 64 bits.

    Raises TooDeep.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, (list, tuple)):
        _check(depth)
        return [plain(one, depth + 1) for one in value]
    if isinstance(value, Mapping):
        _check(depth)
        return {plain(key, depth + 1): plain(one, depth + 1) for key, one in value.items()}
    if type(value) is int and not -_LARGEST <= value < _LARGEST:
        return _as_float(value)
    return value


def _check(depth: int) -> None:
    if depth > _DEEPEST:
        raise TooDeep


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
