"""Describes request bodies that have no model. Used by the routes of definitions and of stored jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def describe_body(examples: Mapping[str, Any], description: str) -> dict[str, Any]:
    """Return the OpenAPI of a required body. `examples`: by media type; a text for a type that is not JSON."""
    content = {
        media_type: {"schema": {"type": "string" if isinstance(example, str) else "object"}, "example": example}
        for media_type, example in examples.items()
    }
    return {"requestBody": {"required": True, "description": description, "content": content}}
