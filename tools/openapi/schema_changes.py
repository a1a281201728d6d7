"""Finds what a changed JSON Schema no longer accepts or returns. Pure. Called by tools.openapi.breaking_changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

Schema = Mapping[str, Any]
_ALL_TYPES: Final = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_UPPER_LIMITS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems")
_LOWER_LIMITS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems")


class SchemaChange(NamedTuple):
    """`name`: of the field or parameter. `text`: what has changed."""

    name: str
    text: str


@dataclass(frozen=True)
class SchemaComparison:
    """Compares schemas of two documents. `is_request`: whether clients send the values, else they receive them."""

    old_document: Schema
    new_document: Schema
    is_request: bool

    def find_changes(self, name: str, old: Schema, new: Schema, seen: tuple[str, ...] = ()) -> Iterator[SchemaChange]:
        """Yield the breaking changes of a value and its parts."""
        key = f"{old.get('$ref', '')} {new.get('$ref', '')}"
        if key.strip() and key in seen:
            return
        seen = (*seen, key)
        old_variants = _variants(self.old_document, old)
        new_variants = _variants(self.new_document, new)
        yield from self._of_types(name, old_variants, new_variants)
        if self.is_request:
            yield from _of_limits(name, old_variants, new_variants)
        old_object, new_object = _with_key(old_variants, "properties"), _with_key(new_variants, "properties")
        if old_object and new_object:
            yield from self._of_properties(old_object, new_object, seen)
        old_list, new_list = _with_key(old_variants, "items"), _with_key(new_variants, "items")
        if old_list and new_list:
            yield from self.find_changes(name, old_list["items"], new_list["items"], seen)

    def _of_types(self, name: str, old: list[Schema], new: list[Schema]) -> Iterator[SchemaChange]:
        before, after = _types(old), _types(new)
        lost = before - after if self.is_request else after - before
        if lost:
            what = "no longer accepts" if self.is_request else "can now be"
            yield SchemaChange(name, f"{what} {', '.join(sorted(lost))}")

    def _of_properties(self, old: Schema, new: Schema, seen: tuple[str, ...]) -> Iterator[SchemaChange]:
        before, after = old["properties"], new["properties"]
        for name, schema in before.items():
            if name in after:
                yield from self.find_changes(name, schema, after[name], seen)
            elif not self.is_request or new.get("additionalProperties") is False:
                yield SchemaChange(name, "is removed")
        if self.is_request:
            for name in new.get("required", ()):
                if name not in old.get("required", ()):
                    yield SchemaChange(name, "is now required")


def _of_limits(name: str, old: list[Schema], new: list[Schema]) -> Iterator[SchemaChange]:
    """Yield the values of a request that are no longer accepted."""
    before, after = _merged(old), _merged(new)
    for limit in _UPPER_LIMITS:
        if limit in after and after[limit] < before.get(limit, float("inf")):
            yield SchemaChange(name, f"has the lower {limit} {after[limit]}")
    for limit in _LOWER_LIMITS:
        if limit in after and after[limit] > before.get(limit, float("-inf")):
            yield SchemaChange(name, f"has the higher {limit} {after[limit]}")
    if "pattern" in after and after["pattern"] != before.get("pattern"):
        yield SchemaChange(name, f"has the new pattern {after['pattern']}")
    if "enum" in after:
        lost = [value for value in before.get("enum", ()) if value not in after["enum"]]
        if lost or "enum" not in before:
            yield SchemaChange(name, f"no longer accepts {', '.join(map(str, lost)) or 'other values'}")


def _variants(document: Schema, schema: Schema) -> list[Schema]:
    """Return the schema, or its alternatives, without references."""
    if "$ref" in schema:
        found: Any = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        return _variants(document, found)
    alternatives = [] if "properties" in schema else schema.get("anyOf") or schema.get("oneOf") or []
    outer = {key: value for key, value in schema.items() if key not in ("anyOf", "oneOf")}
    return [{**outer, **each} for one in alternatives for each in _variants(document, one)] or [outer]


def _types(variants: list[Schema]) -> set[str]:
    found: set[str] = set()
    for schema in variants:
        kinds = schema.get("type", _types_of_values(schema))
        found |= {kinds} if isinstance(kinds, str) else set(kinds)
    return found | ({"integer"} if "number" in found else set())


def _types_of_values(schema: Schema) -> frozenset[str]:
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return frozenset({"string"}) if values and all(isinstance(value, str) for value in values) else _ALL_TYPES


def _merged(variants: list[Schema]) -> dict[str, Any]:
    return {key: value for schema in variants for key, value in schema.items()}


def _with_key(variants: list[Schema], key: str) -> Schema | None:
    return next((schema for schema in variants if key in schema), None)
