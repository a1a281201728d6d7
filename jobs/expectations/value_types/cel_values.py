"""Converts JSON values for CEL, whose library cannot hold all of them. Called by engines/cel.py. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

MOST_CEL_VALUES = 200_000
"""Values of all variables of an expression together; the library needs about a microsecond for each."""

_VALUES_A_CHECK = 1024
_DEEPEST_CEL_VALUE = 200
_INT64_LIMIT = 2**63


class CelInputTooDeep(Exception):
    """The value is nested too deeply."""


class CelInputTooLarge(Exception):
    """There are more values than MOST_VALUES."""


class CelInputCopier:
    """Copies values for one expression. `check`: called every few values, and can raise."""

    def __init__(self, check: Callable[[], None] = lambda: None) -> None:
        self._check = check
        self._count = 0

    def copy_value(self, value: Any, depth: int = 0) -> Any:
        """Copy a value, replacing unpaired surrogates and integers of more than 64 bits.

        Raises CelInputTooDeep, CelInputTooLarge.
        """
        self._count += 1
        if self._count % _VALUES_A_CHECK == 0:
            self._check()
            if self._count > MOST_CEL_VALUES:
                raise CelInputTooLarge
        if isinstance(value, str):
            return value if value.isascii() else value.encode("utf-8", "replace").decode()
        if isinstance(value, (list, tuple)):
            _check_depth(depth)
            return [self.copy_value(one, depth + 1) for one in value]
        if isinstance(value, Mapping):
            _check_depth(depth)
            return {self.copy_value(key, depth + 1): self.copy_value(one, depth + 1) for key, one in value.items()}
        if type(value) is int and not -_INT64_LIMIT <= value < _INT64_LIMIT:
            return _as_float(value)
        return value


def _check_depth(depth: int) -> None:
    if depth > _DEEPEST_CEL_VALUE:
        raise CelInputTooDeep


def _as_float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
