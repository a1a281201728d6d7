"""The parts of a JSON schema that are schemas. Used by the other modules here."""

from __future__ import annotations

from collections.abc import Iterator
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
