"""The names and functions of expressions in HCL, and how much their evaluation can take: locals that refer to each
other can double 40 times, and `for` expressions within each other multiply. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from importers.source_tree import UnreadableSource, UnresolvedText

MAX_STEPS = 1_000_000
"""Evaluated parts of expressions, entries and hundreds of characters of what they make: a few seconds."""
MAX_TEXT = 200_000
"""Characters of one text."""
MAX_ENTRIES = 100_000
"""Values within one value, wherever they are nested, and hundreds of characters of its texts."""
MAX_DEPTH = 50
MAX_BITS = 1024
"""Of a whole number."""


class TooLarge(Exception):
    """A value that is larger than any value of a job; the message names it."""


class Budget:
    """The steps of one configuration. `shown`: its file in errors."""

    def __init__(self, shown: str = "terraform", steps: int = MAX_STEPS) -> None:
        self._shown = shown
        self.left = steps
        self._sizes: dict[int, tuple[Any, int, int]] = {}
        """Containers with their size and depth by identity: one that is part of others is measured once."""

    def spend(self, steps: int) -> None:
        """Raises UnreadableSource: no steps are left."""
        self.left -= steps
        if self.left < 0:
            message = f"its expressions take more than {MAX_STEPS} steps"
            raise UnreadableSource(self._shown, message, "import the JSON of terraform show -json")

    def measure(self, value: Any) -> int:
        """Return the size of a value, and spend it. Raises TooLarge, UnreadableSource."""
        size, _ = self._measure(value)
        return size

    def _measure(self, value: Any) -> tuple[int, int]:
        if isinstance(value, str):
            if len(value) > MAX_TEXT:
                raise TooLarge(f"a text of more than {MAX_TEXT} characters")
            self.spend(len(value) // 100)
            return 1 + len(value) // 100, 0
        if isinstance(value, int) and value.bit_length() > MAX_BITS:
            raise TooLarge("a number of more than 300 digits")
        if not isinstance(value, (dict, list)):
            return 1, 0
        known = self._sizes.get(id(value))
        if known is None:
            known = self._sizes[id(value)] = (value, *self._measure_parts(value))
        return known[1:]

    def _measure_parts(self, value: dict[Any, Any] | list[Any]) -> tuple[int, int]:
        self.spend(1 + len(value))
        size, depth = 1, 0
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            inner, level = self._measure(one)
            size, depth = size + inner, max(depth, level + 1)
            if size > MAX_ENTRIES:
                raise TooLarge(f"a value with more than {MAX_ENTRIES} others")
            if depth > MAX_DEPTH:
                raise TooLarge(f"a value of more than {MAX_DEPTH} levels")
        return size, depth


_LONG_WIDTH = re.compile(r"%[^a-zA-Z%]*\d{4}")


class UnknownHclValue(Exception):
    """A value that is only known when Terraform runs; the message names what has none."""


@dataclass(frozen=True)
class HclScope:
    """`variable`, `local`: return values by name, or raise UnknownHclValue. `names`: of `for`, `each` and `count`.

    `budget`: shared by all scopes of a configuration.
    """

    variable: Callable[[str], Any]
    local: Callable[[str], Any]
    names: Mapping[str, Any] = field(default_factory=dict)
    budget: Budget = field(default_factory=Budget)

    def with_names(self, **names: Any) -> HclScope:
        return replace(self, names={**self.names, **names})

    def root(self, name: str) -> Any:
        """Return what a first name stands for: a value, or a function of the second name. Raises UnknownHclValue."""
        self.budget.spend(1)
        if name in self.names:
            return self.names[name]
        if name == "var":
            return self.variable
        if name == "local":
            return self.local
        raise UnknownHclValue(name)

    def admit(self, value: Any) -> Any:
        """Return a value that was made, at the cost of its size. Raises UnknownHclValue: it is too large."""
        self._measure(value)
        return value

    def read_whole(self, value: Any) -> None:
        """Pay for reading all parts of a value. Raises UnknownHclValue: it is too large."""
        self.budget.spend(self._measure(value) // 10)

    def _measure(self, value: Any) -> int:
        try:
            return self.budget.measure(value)
        except TooLarge as error:
            raise UnknownHclValue(str(error)) from None


def call_function(name: str, arguments: list[Any], scope: HclScope) -> Any:
    """Return the result of a function whose result follows from its arguments. Raises UnknownHclValue."""
    function = _FUNCTIONS.get(name)
    scope.budget.spend(1)
    for argument in arguments:
        scope.read_whole(argument)
    if function is None or any(map(_has_unknown, arguments)):
        raise UnknownHclValue(f"function {name}")
    try:
        result = function(*arguments)
    except Exception:  # whatever a function does not accept: the value is reported as unknown
        raise UnknownHclValue(f"function {name}") from None
    return scope.admit(result)


def _has_unknown(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_has_unknown, value.values()))
    if isinstance(value, list):
        return any(map(_has_unknown, value))
    return isinstance(value, UnresolvedText)


def write_text(value: Any) -> str:
    """Return a value as a template writes it. Raises UnknownHclValue."""
    if isinstance(value, UnresolvedText):
        raise UnknownHclValue(value.needs)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (str, int, float)):
        return str(value)
    raise UnknownHclValue("a text of a list or an object")


def _merge(*values: Any) -> dict[str, Any]:
    return {key: one for value in values if value is not None for key, one in value.items()}


def _format(pattern: str, *values: Any) -> str:
    if _LONG_WIDTH.search(pattern):
        raise ValueError("a width of more than three digits")
    return pattern.replace("%v", "%s").replace("%q", '"%s"') % tuple(
        write_text(value) if not isinstance(value, (int, float)) or isinstance(value, bool) else value
        for value in values
    )


def _lookup(mapping: dict[str, Any], key: str, *default: Any) -> Any:
    return mapping[key] if not default else mapping.get(key, default[0])


def _replace(text: str, old: str, new: str) -> str:
    _require_short(text.count(old) * len(new))
    return text.replace(old, new)


def _join(sign: str, values: list[Any]) -> str:
    _require_short(len(sign) * len(values))
    return sign.join(map(write_text, values))


def _require_short(length: int) -> None:
    if length > MAX_TEXT:
        raise ValueError("a long text")


def _distinct(values: list[Any]) -> list[Any]:
    found: dict[Any, Any] = {}
    for one in values:
        key = ("container", json.dumps(one, sort_keys=True)) if isinstance(one, (dict, list)) else one
        found.setdefault(key, one)
    return list(found.values())


def _coalesce(*values: Any) -> Any:
    return next(value for value in values if value not in (None, ""))


_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "merge": _merge,
    "concat": lambda *lists: [one for each in lists for one in each],
    "toset": lambda values: _distinct(list(values)),
    "tolist": list,
    "tomap": dict,
    "tostring": write_text,
    "tonumber": lambda value: float(value) if "." in str(value) else int(value),
    "tobool": lambda value: value if isinstance(value, bool) else {"true": True, "false": False}[value],
    "lower": lambda text: text.lower(),
    "upper": lambda text: text.upper(),
    "title": lambda text: text.title(),
    "trimspace": lambda text: text.strip(),
    "trimsuffix": lambda text, end: text.removesuffix(end),
    "trimprefix": lambda text, start: text.removeprefix(start),
    "chomp": lambda text: text.rstrip("\n"),
    "replace": _replace,
    "format": _format,
    "join": _join,
    "split": lambda sign, text: text.split(sign),
    "length": len,
    "lookup": _lookup,
    "keys": lambda mapping: sorted(mapping),
    "values": lambda mapping: [mapping[key] for key in sorted(mapping)],
    "contains": lambda values, one: one in values,
    "element": lambda values, index: values[index % len(values)],
    "flatten": lambda values: [one for each in values for one in (each if isinstance(each, list) else [each])],
    "compact": lambda values: [one for one in values if one not in (None, "")],
    "distinct": _distinct,
    "coalesce": _coalesce,
    "max": max,
    "min": min,
    "jsonencode": lambda value: json.dumps(value, separators=(",", ":")),
    "jsondecode": json.loads,
    "base64encode": lambda text: base64.b64encode(text.encode()).decode(),
    "base64decode": lambda text: base64.b64decode(text).decode(),
    "abs": abs,
    "one": lambda values: values[0] if values else None,
    "sensitive": lambda value: value,
    "nonsensitive": lambda value: value,
    "startswith": lambda text, start: text.startswith(start),
    "endswith": lambda text, end: text.endswith(end),
}
