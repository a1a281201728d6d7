"""What a target generates, the folder of the generated files, and the port of the tool that takes them.

DIR/datadog/...             the documents of the target, one file each
DIR/datadog/manifest.json   the list of these files: others in the folder are left alone
DIR/applied/datadog/...     what was applied last, see observability.generation.applying

A document is a path, a JSON value, and what identifies the items of its lists. A tool reads, writes and deletes
documents by id; the folders of the targets implement it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from config.whole_files import replace_file
from observability.generation.portfolio import Portfolio

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


def is_same_json(value: Json, other: Json) -> bool:
    """Return whether two values are the same JSON: `true` is not 1."""
    return value == other and json.dumps(value, sort_keys=True) == json.dumps(other, sort_keys=True)


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


_MANIFEST = "manifest.json"


class InvalidFolder(Exception):
    """A file of the folder cannot be read or written. The message contains which, why, and what to change."""


@dataclass(frozen=True, slots=True)
class FolderChanges:
    """Paths below the folder of the target, sorted: files that differ from the documents, and files without one."""

    outdated: tuple[str, ...]
    removed: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.outdated or self.removed)


def compare_folder(folder: Path, documents: Sequence[GeneratedDocument]) -> FolderChanges:
    """Return what `write_documents` would change. Raises InvalidFolder."""
    expected = _render_files(documents)
    outdated = sorted(path for path, text in expected.items() if _read_text(folder / path) != text)
    return FolderChanges(tuple(outdated), tuple(sorted(_read_manifest(folder) - expected.keys())))


def write_documents(folder: Path, documents: Sequence[GeneratedDocument]) -> FolderChanges:
    """Write the files that differ, delete those that an earlier call has written and that have no document any more.

    Raises InvalidFolder.
    """
    changes = compare_folder(folder, documents)
    expected = _render_files(documents)
    try:
        for path in changes.outdated:
            replace_file(folder / path, expected[path])
        for path in changes.removed:
            (folder / path).unlink(missing_ok=True)
    except OSError as error:
        raise InvalidFolder(f"could not write {folder}: {error.strerror}; choose another folder by --out") from None
    return changes


def _render_files(documents: Sequence[GeneratedDocument]) -> dict[str, str]:
    files = {document.path: document.render() for document in documents}
    return {**files, _MANIFEST: render_json({"files": sorted(files)})}


def _read_manifest(folder: Path) -> set[str]:
    text = _read_text(folder / _MANIFEST)
    if text is None:
        return set()
    try:
        files = json.loads(text)["files"]
        paths = {PurePosixPath(file) for file in files}
    except (ValueError, KeyError, TypeError):
        raise InvalidFolder(f"{folder / _MANIFEST} is not a list of files; delete it and generate again") from None
    # Deleting files is limited to this folder, whatever the list contains.
    return {str(path) for path in paths if not path.is_absolute() and ".." not in path.parts}


def _read_text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode("utf-8", "replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidFolder(f"could not read {path}: {error.strerror}; choose another folder by --out") from None


class ToolError(Exception):
    """A tool did not do what it was requested to do. The message contains why, and what to change; no credentials."""


@dataclass(frozen=True, slots=True)
class ToolDocument:
    """A document in a tool. `id`: the tool's. `value`: without what the tool changes by itself: times, versions."""

    id: str
    value: Json


class Tool(Protocol):
    """The API of a tool. Every method raises ToolError."""

    def fetch(self, kind: str, tool_id: str) -> ToolDocument | None:
        """Return the document with this id; None if the tool has none."""
        ...

    def find(self, document: GeneratedDocument) -> ToolDocument | None:
        """Return the document that an earlier apply has written and whose id is unknown here; None without one."""
        ...

    def write(self, document: GeneratedDocument, value: Json, tool_id: str | None) -> ToolDocument:
        """Create the document with this value, or replace that with the id; return it as the tool stores it."""
        ...

    def delete(self, kind: str, tool_id: str) -> None:
        """Delete the document; without it in the tool, this is a success."""
        ...


@dataclass(frozen=True, slots=True)
class GenerationTarget:
    """A target of `generate`.

    `generate`: all documents, in the order in which they are applied: a document comes after those that it references.
    `connect`: the tool, with the credentials of the environment variables; raises ToolError.
    """

    name: str
    generate: Callable[[Portfolio], Sequence[GeneratedDocument]]
    connect: Callable[[Mapping[str, str]], AbstractContextManager[Tool]]
