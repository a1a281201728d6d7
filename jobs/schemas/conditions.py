"""Unions as conditions, so that a mistake is reported once, at its key; and the parts of a schema that are schemas.

An alternative (`anyOf`) reports what each of its members misses. Instead, the type, the `kind` or the key of a value
selects the schema that it must meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

Schema = dict[str, Any]

TAGS: Final = "oneOf"
"""Keyword of a union with a discriminator, with its members by tag, until jobs.schemas.conditions resolves it."""
_BY_NAME: Final = ("properties", "patternProperties", "$defs", TAGS)
_LISTS: Final = ("allOf", "anyOf")
SINGLE: Final = ("items", "additionalProperties", "if", "then", "else", "not", "propertyNames")
"""Keywords whose value is one schema."""


def list_parts(schema: Schema) -> Iterator[tuple[str, str | int | None, Schema]]:
    """Yield each part below: its keyword, its name or number below that, and the part."""
    for word in SINGLE:
        if isinstance(schema.get(word), dict):
            yield word, None, schema[word]
    for word in (*_BY_NAME, *_LISTS):
        below: Any = schema.get(word, {})
        for inner, part in below.items() if isinstance(below, dict) else enumerate(below):
            if isinstance(part, dict):
                yield word, inner, part


_COMPLEX: Final = frozenset({"$ref", "if", "enum", "const", "anyOf", "allOf", "not"})
"""Keywords that concern values of each type, so that a schema with one of them cannot be merged with another."""


def require_if_known(keys: Iterable[str], required: Sequence[str]) -> Schema:
    """Return that keys are required, unless a key is unknown: then it is reported alone, as it may be a missing one."""
    return {"if": {"propertyNames": {"enum": list(dict.fromkeys(keys))}}, "then": {"required": list(required)}}


def closed(keys: Iterable[str], required: Sequence[str]) -> Schema:
    """Return the schema of a mapping with these keys and any values."""
    condition = require_if_known(keys, required)
    return {**condition, "else": condition["if"]}


# Conditions have no `required`: editors that complete a mapping take it as met.


def has_any_key(*keys: str) -> Schema:
    """Return the condition that a mapping has one of these keys."""
    return {"not": {"propertyNames": {"not": {"const": keys[0]} if len(keys) == 1 else {"enum": list(keys)}}}}


def has_value(key: str, value: Schema) -> Schema:
    """Return the condition that a mapping has this key with such a value."""
    return {"not": {"properties": {key: {"not": value}}}}


def resolve_unions(schema: Schema, definitions: Mapping[str, Schema]) -> None:
    """Replace the unions of a schema and of its definitions; report missing keys of a mapping without unknown ones."""
    union = _Unions(definitions)
    for each in (*definitions.values(), schema):
        union.replace_below(each)
    for name, each in (*definitions.items(), ("", schema)):
        _require_known(each, is_selected=name in union.selected_by_key)


def _require_known(schema: Schema, *, is_selected: bool = False) -> None:
    for _, _, part in list_parts(schema):
        _require_known(part)
    if "required" in schema and schema.get("additionalProperties") is False and "if" not in schema:
        required = schema.pop("required")
        if not (is_selected and len(required) == 1):
            schema.update(require_if_known(schema["properties"], required))


class _Unions:
    def __init__(self, definitions: Mapping[str, Schema]) -> None:
        self._definitions = definitions
        self.selected_by_key: set[str] = set()
        """Definitions that are selected by their only required key, which is therefore there."""

    def replace_below(self, schema: Schema) -> None:
        for _, _, part in list_parts(schema):
            self.replace_below(part)
        if TAGS in schema:
            schema.update(self._select_by_tag(schema.pop(TAGS)))
        if "anyOf" in schema:
            merged = self._select_by_type(schema.pop("anyOf"))
            schema.update(merged | schema)

    def _resolve(self, schema: Schema) -> Schema:
        found = self._definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema
        if TAGS in found or "anyOf" in found:
            self.replace_below(found)
        return found

    def _select_by_tag(self, choices: dict[str, Schema]) -> Schema:
        properties = {tag: self._resolve(each).get("properties", {}) for tag, each in choices.items()}
        keys = list(dict.fromkeys(key for each in properties.values() for key in each))
        if all("kind" in each for each in properties.values()):
            return select_by_kind(choices, closed(keys, ["kind"]))
        if all(tag in each for tag, each in properties.items()):
            self.selected_by_key |= {each["$ref"].rpartition("/")[2] for each in choices.values() if "$ref" in each}
            return _by_key(choices, keys)
        return self._select_by_type(list(choices.values()))

    def _select_by_type(self, members: list[Schema]) -> Schema:
        if any(not member for member in members):
            return {}
        types = [self._types_of(member) for member in members]
        numeric = {"integer", "number", "boolean"}
        if any(each == ["string"] for each in types):
            # The text of a number is not needed where each text is valid, or those of another form.
            types = [[t for t in each if t != "string"] if numeric.intersection(each) else each for each in types]
        simple: Schema = {"type": list(dict.fromkeys(t for each in types for t in each))}
        selected: Schema = {}
        for member, of_member in zip(reversed(members), reversed(types), strict=True):
            if _COMPLEX.isdisjoint(member):
                rest = {key: value for key, value in member.items() if key != "type"}
                if "string" not in of_member:
                    rest.pop("pattern", None)
                simple = _merge(simple, rest)
            elif "enum" in member and len(members) == 2 and ["null"] in types:
                simple = {**member, "type": simple["type"], "enum": [*member["enum"], None]}
            else:
                of_type = {"type": of_member[0] if len(of_member) == 1 else of_member}
                selected = {"if": of_type, "then": member, **({"else": selected} if selected else {})}
        return simple | selected

    def _types_of(self, schema: Schema) -> list[str]:
        found = self._resolve(schema).get("type")
        assert found is not None, schema
        return [found] if isinstance(found, str) else list(found)


def _merge(one: Schema, other: Schema) -> Schema:
    """Return both keywords. Of a keyword that both have, examples are joined, and another one is of the second."""
    examples = [*other.get("examples", ()), *one.get("examples", ())]
    return one | other | ({"examples": examples} if examples else {})


def _by_key(choices: dict[str, Schema], keys: list[str]) -> Schema:
    """Select by the first of the keys that a mapping has; see jobs.model_base.discriminate_by_key."""
    one_of_them = {"anyOf": [{"required": [key]} for key in choices]}
    selected: Schema = {**require_if_known(keys, []), "then": one_of_them}
    selected |= {"properties": {key: {} for key in [*choices, *keys]}, "additionalProperties": False}
    for key, choice in reversed(choices.items()):
        selected = {"if": has_any_key(key), "then": choice, "else": selected}
    return {"type": "object", **selected}


def select_by_kind(choices: dict[str, Schema], otherwise: Schema) -> Schema:
    """Return the schema that selects by `kind`. `otherwise`: of a mapping without a kind."""
    kinds = {"enum": list(choices), "description": "What it is; the other keys depend on it"}
    selected = {"if": has_any_key("kind"), "else": otherwise}
    for kind, choice in reversed(choices.items()):
        selected = {"if": has_value("kind", {"const": kind}), "then": choice, "else": selected}
    return {"type": "object", "properties": {"kind": kinds}, **selected}
