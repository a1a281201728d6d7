"""Compares a resource with its type in azure.json. Called by tests/infra/azure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from tools.infra.arm.builtins import Later, is_later
from tools.infra.azure_types.extraction import TYPES_FILE
from tools.infra.azure_types.used import ENVELOPE

_KINDS: Mapping[str, tuple[type, ...]] = {"string": (str,), "boolean": (bool,), "integer": (int, float)}


@cache
def load_types() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(TYPES_FILE.read_text())
    return found


def find_problems(resource: Mapping[str, Any]) -> list[str]:
    """Return what the type of a resource does not allow, with its path."""
    name = f"{resource['type']}@{resource['apiVersion']}"
    known = load_types()["types"].get(name)
    if known is None:
        return [f"{name} is not in azure.json: python -m tools.infra.azure_types.extraction"]
    body = {key: value for key, value in resource.items() if key not in ENVELOPE}
    body["name"] = str(body["name"]).rpartition("/")[2]
    return [f"{resource['type']}{path}: {problem}" for path, problem in _check(known, body, "")]


def _check(node: Any, value: Any, path: str) -> Iterator[tuple[str, str]]:
    kind, rest = (node, None) if isinstance(node, str) else next(iter(node.items()))
    if kind == "any" or isinstance(value, Later) or value is None:
        return
    if "by" in (node if isinstance(node, dict) else ()):
        yield from _check_variant(node, value, path)
    elif isinstance(node, dict) and ("object" in node):
        yield from _check_object(node, value, path)
    elif kind == "array":
        if not isinstance(value, list):
            yield path, f"is not an array: {value!r}"
            return
        for at, item in enumerate(value):
            yield from _check(rest, item, f"{path}/{at}")
    elif isinstance(node, dict) and "one_of" in node:
        if not node.get("open") and value not in node["one_of"]:
            yield path, f"{value!r} is not one of {', '.join(map(str, node['one_of']))}"
        elif node.get("open") and node["one_of"] and value not in node["one_of"]:
            yield path, f"{value!r} is not a documented value: {', '.join(map(str, node['one_of']))}"
    else:
        yield from _check_simple(kind, rest or {}, value, path)


def _check_object(node: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    if not isinstance(value, dict):
        yield path, f"is not an object: {value!r}"
        return
    for name in node.get("required", ()):
        if name not in value:
            yield path, f"{name} is missing"
    for key, each in value.items():
        known = node["object"].get(key, node.get("more"))
        if known is None:
            yield f"{path}/{key}", "does not exist"
        else:
            yield from _check(known, each, f"{path}/{key}")


def _check_variant(node: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    chosen = value.get(node["by"]) if isinstance(value, dict) else None
    if chosen not in node["variants"]:
        yield path, f"{node['by']} {chosen!r} is not one of {', '.join(node['variants'])}"
        return
    base, variant = node["base"], node["variants"][chosen]
    merged = {
        "object": {**base["object"], **variant["object"]},
        "required": [*base.get("required", ()), *variant.get("required", ())],
    }
    yield from _check_object(merged, value, path)


def _check_simple(kind: str, limits: Mapping[str, Any], value: Any, path: str) -> Iterator[tuple[str, str]]:
    is_number_for_bool = isinstance(value, bool) and kind != "boolean"
    if not isinstance(value, _KINDS[kind]) or is_number_for_bool:
        yield path, f"is not of type {kind}: {value!r}"
        return
    if is_later(value):
        return
    size = len(value) if isinstance(value, str) else value
    least, most = limits.get("minLength", limits.get("minValue")), limits.get("maxLength", limits.get("maxValue"))
    if (least is not None and size < least) or (most is not None and size > most):
        yield path, f"is out of range: {value!r}"
    if "pattern" in limits and not re.search(limits["pattern"], str(value)):
        yield path, f"{value!r} does not have the form {limits['pattern']}"
