"""A generated document: a path, a JSON value, and what identifies the items of its lists. Pure.

Called by the generators of each tool, which make documents, and by the other modules of this package.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Json = Any
"""A JSON value: None, bool, int, float, str, a list, or a dict with text keys."""

ItemKey = tuple[str, ...]
"""The path to the value that identifies an item of a list, from the item: ("definition", "title")."""

DEFAULT_ITEM_KEYS: tuple[ItemKey, ...] = (("id",), ("uid",), ("name",), ("refId",), ("key",), ("title",))


@dataclass(frozen=True, slots=True)
class GeneratedDocument:
    """A document of a target. `path`: below the folder of the target, such as `monitors/checkout.json`.

    `kind`: what it is in the tool, such as `monitor`; empty for a document that is a file alone and is not applied.
    `item_keys`: of the items of its lists; for a list, the first one that all its generated items have, each with
    another value. Lists without such a key are merged as values.
    """

    path: str
    value: Json
    kind: str = ""
    item_keys: tuple[ItemKey, ...] = DEFAULT_ITEM_KEYS

    def render(self) -> str:
        """Return the content of the file, the same for the same value: YAML if the path ends so, otherwise JSON."""
        if self.path.endswith((".yaml", ".yml")):
            import yaml

            text: str = yaml.safe_dump(self.value, sort_keys=False, allow_unicode=True, width=120)
            return text
        return render_json(self.value)


def render_json(value: Json) -> str:
    """Return indented JSON with sorted keys."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def is_same_json(one: Json, other: Json) -> bool:
    """Return whether two values are the same JSON: `true` is not 1."""
    return one == other and json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def reference_id(path: str) -> str:
    """Return the text that stands for the tool's id of another document, until that one has been applied."""
    return f"{{{{id of {path}}}}}"


def resolve_references(value: Json, ids: Sequence[tuple[str, str]]) -> Json:
    """Return the value with the ids of applied documents. `ids`: paths of documents, and their ids in the tool."""
    if isinstance(value, str):
        for path, found in ids:
            value = value.replace(reference_id(path), found)
        return value
    if isinstance(value, list):
        return [resolve_references(item, ids) for item in value]
    if isinstance(value, dict):
        return {key: resolve_references(item, ids) for key, item in value.items()}
    return value
