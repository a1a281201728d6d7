"""The functions of expressions in HCL whose result follows from their arguments. Pure."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from importers.expressions.evaluation import MAX_TEXT, Language, write_text

_LONG_WIDTH = re.compile(r"%[^a-zA-Z%]*\d{4}")


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

HCL = Language(_FUNCTIONS, has_try=True)
