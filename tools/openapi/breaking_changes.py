"""Finds the changes of the API that break its clients, and those that CHANGELOG.md does not name.

`./dev check` runs `python -m tools.openapi.breaking_changes`. It compares docs/openapi.json with the document of the
last release, tests/data/releases/VERSION/openapi.json.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tools.openapi.documents import DOCUMENT, ROOT
from tools.openapi.schema_changes import Schema, SchemaComparison

SCOPES: Final = ("public", "ping", "metrics", "read", "operate", "manage")
"""From the weakest requirement to the strictest."""


@dataclass(frozen=True)
class BreakingChange:
    """`name`: what CHANGELOG.md has to name: a path, a parameter or a field."""

    operation: str
    name: str
    text: str

    def __str__(self) -> str:
        return f"{self.operation}: {self.name} {self.text}"


def find_breaking_changes(old: Schema, new: Schema) -> Iterator[BreakingChange]:
    """Yield what breaks a client of the old document."""
    new_paths = {_without_names(path): methods for path, methods in new["paths"].items()}
    for path, methods in old["paths"].items():
        for method, operation in methods.items():
            label = f"{method.upper()} {path}"
            current = new_paths.get(_without_names(path), {}).get(method)
            if current is None:
                yield BreakingChange(label, path, "is removed")
            else:
                yield from _OperationComparison(old, new, label, path).find_changes(operation, current)


def find_unnamed_changes(old: Schema, new: Schema, changelog: str) -> list[BreakingChange]:
    """Return the breaking changes whose names do not appear as code in the changelog, in a section after `old`."""
    section = changelog.partition(f"\n## [{old['info']['version']}]")[0]
    pieces = re.findall(r"`([^`\n]+)`", section)
    words = {word for piece in pieces for word in re.split(r"[^\w-]+", piece)}
    text = " ".join(pieces)
    found = dict.fromkeys(find_breaking_changes(old, new))
    return [each for each in found if each.name not in (text if each.name.startswith("/") else words)]


@dataclass(frozen=True)
class _OperationComparison:
    old_document: Schema
    new_document: Schema
    label: str
    path: str

    def find_changes(self, old: Schema, new: Schema) -> Iterator[BreakingChange]:
        before, after = old.get("x-scope"), new.get("x-scope")
        if before in SCOPES and after in SCOPES and SCOPES.index(after) > SCOPES.index(before):
            yield self._change(self.path, f"requires the scope {after} instead of {before}")
        yield from self._of_parameters(old, new)
        yield from self._of_bodies(old.get("requestBody", {}), new.get("requestBody", {}))
        yield from self._of_responses(old["responses"], new["responses"])

    def _of_parameters(self, old: Schema, new: Schema) -> Iterator[BreakingChange]:
        before, after = _parameters(old), _parameters(new)
        for key, parameter in before.items():
            if key in after:
                yield from self._of_schemas(parameter["name"], parameter, after[key], is_request=True)
            elif parameter["in"] != "path":
                yield self._change(parameter["name"], f"({parameter['in']}) is removed")
        for key, parameter in after.items():
            is_new_demand = parameter.get("required") and not before.get(key, {}).get("required")
            if is_new_demand and parameter["in"] != "path":
                yield self._change(parameter["name"], f"({parameter['in']}) is now required")

    def _of_bodies(self, old: Schema, new: Schema) -> Iterator[BreakingChange]:
        if new.get("required") and not old.get("required"):
            yield self._change(self.path, "requires a body now")
        yield from self._of_contents(old, new, is_request=True)

    def _of_responses(self, old: Schema, new: Schema) -> Iterator[BreakingChange]:
        for status, response in old.items():
            if status.startswith("2"):
                if status in new:
                    yield from self._of_contents(response, new[status], is_request=False)
                else:
                    yield self._change(self.path, f"no longer responds with {status}")

    def _of_contents(self, old: Schema, new: Schema, *, is_request: bool) -> Iterator[BreakingChange]:
        for media_type, content in old.get("content", {}).items():
            current = new.get("content", {}).get(media_type)
            if current is None:
                yield self._change(self.path, f"no longer has a body of {media_type}")
            else:
                yield from self._of_schemas(self.path, content, current, is_request=is_request)

    def _of_schemas(self, name: str, old: Schema, new: Schema, *, is_request: bool) -> Iterator[BreakingChange]:
        comparison = SchemaComparison(self.old_document, self.new_document, is_request)
        for change in comparison.find_changes(name, old.get("schema", {}), new.get("schema", {})):
            if "in" not in old or change.text != "no longer accepts null":  # a parameter cannot be null
                yield self._change(change.name, change.text)

    def _change(self, name: str, text: str) -> BreakingChange:
        return BreakingChange(self.label, name, text)


def _parameters(operation: Schema) -> Mapping[tuple[str, str], dict[str, Any]]:
    """Return the parameters by place and name; those of the path by their position."""
    found = operation.get("parameters", ())
    path = [each for each in found if each["in"] == "path"]
    others = {(each["in"], each["name"]): each for each in found if each["in"] != "path"}
    return {**{("path", str(position)): each for position, each in enumerate(path)}, **others}


def _without_names(path: str) -> str:
    return re.sub(r"{\w+}", "{}", path)


def find_released_document() -> Path:
    """Return the document of the last release."""
    documents = (ROOT / "tests/data/releases").glob("*/openapi.json")
    return max(documents, key=lambda document: [int(part) for part in document.parent.name.split(".")])


def main() -> int:
    released = find_released_document()
    old, new = (json.loads(each.read_text(encoding="utf-8")) for each in (released, DOCUMENT))
    unnamed = find_unnamed_changes(old, new, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    for change in unnamed:
        print(f"breaks clients of {released.parent.name}, but CHANGELOG.md does not name `{change.name}`: {change}")
    return 1 if unnamed else 0


if __name__ == "__main__":
    sys.exit(main())
