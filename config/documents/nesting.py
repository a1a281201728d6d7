"""The depth of nested values. Called where parsed JSON is limited: config.documents.json_text and importers."""

from __future__ import annotations

from typing import Any


def depth_exceeds(value: Any, limit: int) -> bool:
    """Whether mappings and lists are nested more deeply than this."""
    level: list[Any] = [value]
    for _ in range(limit + 1):
        level = [
            child
            for one in level
            if isinstance(one, (dict, list))
            for child in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return False
    return True
