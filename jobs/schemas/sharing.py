"""Definitions of what a schema repeats, so that it is small. Used by jobs.schemas.documents."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Final

from jobs.schemas.parts import Schema, list_parts

_OWN: Final = ("description", "default")
"""Keywords that stay next to a reference."""
_SHORTEST_SHARED: Final = 60
"""Characters of a schema that is worth a definition."""


def share_repeated(schema: Schema) -> Schema:
    """Return a copy without unused definitions. Each repeated part is one, named by the first key that has it."""
    schema = deepcopy(schema)
    used: set[str] = set()
    _find_used({word: part for word, part in schema.items() if word != "$defs"}, schema["$defs"], used)
    schema["$defs"] = {name: part for name, part in schema["$defs"].items() if name in used}
    names: dict[str, str | None] = {}
    _find_repeated(schema, "", names, set(schema["$defs"]))
    repeated = {text: name for text, name in names.items() if name is not None}
    shared = {name: json.loads(text) for text, name in repeated.items()}
    for part in (*shared.values(), schema):
        _replace_below(part, repeated)
    schema["$defs"] |= shared
    return schema


def _find_used(schema: Schema, definitions: Mapping[str, Schema], used: set[str]) -> None:
    """Add the names of the definitions to which a schema refers, also through others."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and name not in used:
        used.add(name)
        _find_used(definitions[name], definitions, used)
    for _, _, part in list_parts(schema):
        _find_used(part, definitions, used)


def _find_repeated(schema: Schema, key: str, names: dict[str, str | None], used_names: set[str]) -> None:
    """Fill `names`: text of a part -> the name of its definition, or None if it is not repeated."""
    for holder, inner, part in list_parts(schema):
        name = inner if isinstance(inner, str) else key
        text = _text_of(part)
        if text not in names:
            names[text] = None
            _find_repeated(part, name, names, used_names)
        elif names[text] is None and len(text) >= _SHORTEST_SHARED and holder not in ("$defs", "if", "then", "else"):
            names[text] = next(
                free for free in (name, *(f"{name}_{n}" for n in range(2, 99))) if free not in used_names
            )
            used_names.add(str(names[text]))


def _replace_below(schema: Schema, names: dict[str, str]) -> None:
    for holder, inner, part in list(list_parts(schema)):
        name = names.get(_text_of(part))
        if name is None or holder == "$defs":
            _replace_below(part, names)
            continue
        reference: Schema = {"$ref": f"#/$defs/{name}", **{word: part[word] for word in _OWN if word in part}}
        if inner is None:
            schema[holder] = reference
        else:
            schema[holder][inner] = reference


def _text_of(part: Schema) -> str:
    return json.dumps({word: value for word, value in part.items() if word not in _OWN})
