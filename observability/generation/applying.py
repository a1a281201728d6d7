"""Applies documents to a tool, and finds what people changed there.

Applying again without a change writes nothing. A document that the tool refuses does not keep the others from being
applied. A tool stores a document with defaults and in other words, so two values of the last apply are known: as it was
generated, and as the tool stored it without changes of people. They are in `DIR/applied/<target>`, the base of the next
merge. The folder belongs into version control, next to the generated files: without it, each value that a person
changed is a conflict at the next apply.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from config.whole_files import replace_file
from observability.generation.document import (
    DEFAULT_ITEM_KEYS,
    GeneratedDocument,
    InvalidFolder,
    ItemKey,
    Json,
    Tool,
    ToolDocument,
    ToolError,
    is_same_json,
    render_json,
    resolve_references,
)
from observability.generation.merge import MISSING, MergeConflict, ValueDifference, find_differences, merge

ApplyAction = Literal["create", "update", "delete", "none"]


@dataclass(frozen=True, slots=True)
class AppliedDocument:
    """What is known of a document of the tool. `generated`: as generated last; `stored`: as the tool stores that.

    `item_keys`: as GeneratedDocument has them.
    """

    path: str
    kind: str
    tool_id: str
    generated: Json
    stored: Json
    item_keys: tuple[ItemKey, ...] = DEFAULT_ITEM_KEYS


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What to do. `value`: what to write; `settled`, `expected`: see `record_result`."""

    action: ApplyAction
    value: Json = None
    settled: Json = None
    expected: Json = None
    conflicts: tuple[MergeConflict, ...] = ()


def reconcile(
    document: GeneratedDocument, applied: AppliedDocument | None, ours: Json, theirs: Json, *, overwrites: bool
) -> Reconciliation:
    """Return what to do with a document that is generated. `ours`: its value, with the ids of others.

    `theirs`: the value in the tool, or MISSING. `applied`: None for a document that is new here; if the tool has it
    nevertheless, each value that differs is a conflict. `overwrites`: what is generated wins a conflict, and a document
    that a person deleted is created again.
    """
    if theirs is MISSING:
        if applied is None or overwrites:
            return Reconciliation("create", ours, ours, ours)
        is_unchanged = is_same_json(ours, applied.generated)
        return Reconciliation(
            "none", conflicts=() if is_unchanged else (MergeConflict((), applied.stored, ours, MISSING),)
        )
    generated, stored = ({}, {}) if applied is None else (applied.generated, applied.stored)
    expected = merge(generated, ours, stored, document.item_keys, prefers_ours=True).value
    merged = merge(stored, expected, theirs, document.item_keys, prefers_ours=overwrites)
    action: ApplyAction = "none" if is_same_json(merged.value, theirs) else "update"
    return Reconciliation(action, merged.value, merged.settled, expected, merged.conflicts)


def reconcile_removed(applied: AppliedDocument, theirs: Json, *, overwrites: bool) -> Reconciliation:
    """Return what to do with a document that is not generated any more: one that a person changed is a conflict."""
    if theirs is MISSING or overwrites or is_same_json(theirs, applied.stored):
        return Reconciliation("delete")
    return Reconciliation("none", conflicts=(MergeConflict((), applied.stored, MISSING, theirs),))


def record_result(
    document: GeneratedDocument, ours: Json, done: Reconciliation, written: ToolDocument
) -> AppliedDocument:
    """Return what is known afterwards. `written`: what the tool has now.

    What a person changed is not part of it, so that drift reports it; a conflict has its former value, so that it
    remains one.
    """
    keys = document.item_keys
    generated = merge(done.expected, done.settled, ours, keys, prefers_ours=True).value
    stored = merge(done.value, done.settled, written.value, keys, prefers_ours=True).value
    return AppliedDocument(document.path, document.kind, written.id, generated, stored, keys)


_VERSION = 1


class AppliedFolder:
    """One file a document. Every method raises InvalidFolder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self) -> dict[str, AppliedDocument]:
        """Return what is known of each document, by its path, sorted."""
        files = sorted(self._folder.rglob("*.json")) if self._folder.is_dir() else []
        documents = [self._read_file(file) for file in files]
        return {document.path: document for document in documents}

    def store(self, document: AppliedDocument) -> None:
        value = {
            "version": _VERSION,
            "path": document.path,
            "kind": document.kind,
            "id": document.tool_id,
            "generated": document.generated,
            "stored": document.stored,
            "item_keys": [list(key) for key in document.item_keys],
        }
        try:
            replace_file(self._file(document.path), render_json(value))
        except OSError as error:
            raise InvalidFolder(f"could not write {self._file(document.path)}: {error.strerror}") from None

    def remove(self, path: str) -> None:
        try:
            self._file(path).unlink(missing_ok=True)
        except OSError as error:
            raise InvalidFolder(f"could not delete {self._file(path)}: {error.strerror}") from None

    def _file(self, path: str) -> Path:
        return self._folder / (path if path.endswith(".json") else f"{path}.json")

    def _read_file(self, file: Path) -> AppliedDocument:
        try:
            value = json.loads(file.read_bytes())
            if value["version"] != _VERSION:
                raise InvalidFolder(f"{file} has version {value['version']}, expected {_VERSION}; use a newer program")
            keys = tuple(tuple(map(str, key)) for key in value["item_keys"])
            known = value["path"], value["kind"], value["id"], value["generated"], value["stored"]
            return AppliedDocument(*known, keys)
        except OSError as error:
            raise InvalidFolder(f"could not read {file}: {error.strerror}") from None
        except (ValueError, KeyError, TypeError):
            raise InvalidFolder(
                f"{file} is not a record of an applied document; restore it from version control, or delete it"
            ) from None


@dataclass(frozen=True, slots=True)
class ApplyOutcome:
    """What was done with a document, or with `--dry-run` would be. `error`: why it could not be done."""

    path: str
    action: ApplyAction
    conflicts: tuple[MergeConflict, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class DocumentDrift:
    """What people changed in a document. `differences`: empty if `error` contains why they are unknown."""

    path: str
    differences: tuple[ValueDifference, ...]
    error: str = ""


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """`is_dry_run`: only report. `overwrites`: what is generated wins a conflict."""

    is_dry_run: bool = False
    overwrites: bool = False


def apply_documents(
    documents: Sequence[GeneratedDocument], tool: Tool, folder: AppliedFolder, options: ApplyOptions
) -> Iterator[ApplyOutcome]:
    """Apply each document, then delete those that are not generated any more. Raises InvalidFolder."""
    applied = folder.read()
    generated = [document for document in documents if document.kind]
    ids = {path: one.tool_id for path, one in applied.items()}
    for document in generated:
        try:
            yield _apply_document(document, tool, folder, applied.get(document.path), ids, options)
        except ToolError as error:
            yield ApplyOutcome(document.path, "none", error=str(error))
    paths = {document.path for document in generated}
    for path in _order_removals([one for path, one in applied.items() if path not in paths]):
        try:
            yield _remove_document(applied[path], tool, folder, options)
        except ToolError as error:
            yield ApplyOutcome(path, "none", error=str(error))


def _order_removals(removed: Sequence[AppliedDocument]) -> list[str]:
    """Return their paths, those that others reference last: a tool may refuse to delete what is in use."""
    texts = {one.path: json.dumps(one.generated) for one in removed}

    def is_referenced(applied: AppliedDocument) -> bool:
        return any(applied.tool_id in text for path, text in texts.items() if path != applied.path)

    return [one.path for one in sorted(removed, key=is_referenced)]


def _apply_document(
    document: GeneratedDocument,
    tool: Tool,
    folder: AppliedFolder,
    applied: AppliedDocument | None,
    ids: dict[str, str],
    options: ApplyOptions,
) -> ApplyOutcome:
    ours = resolve_references(document.value, list(ids.items()))
    existing = tool.find(document) if applied is None else tool.fetch(document.kind, applied.tool_id)
    theirs = MISSING if existing is None else existing.value
    if existing is not None:
        ids[document.path] = existing.id
    plan = reconcile(document, applied, ours, theirs, overwrites=options.overwrites)
    if options.is_dry_run or (plan.action == "none" and existing is None):
        return ApplyOutcome(document.path, plan.action, plan.conflicts)
    written = existing if existing is not None and plan.action == "none" else _write(tool, document, plan, existing)
    ids[document.path] = written.id
    record = record_result(document, ours, plan, written)
    if record != applied:
        folder.store(record)
    return ApplyOutcome(document.path, plan.action, plan.conflicts)


def _write(
    tool: Tool, document: GeneratedDocument, plan: Reconciliation, existing: ToolDocument | None
) -> ToolDocument:
    return tool.write(document, plan.value, None if existing is None else existing.id)


def _remove_document(
    applied: AppliedDocument, tool: Tool, folder: AppliedFolder, options: ApplyOptions
) -> ApplyOutcome:
    found = tool.fetch(applied.kind, applied.tool_id)
    theirs = MISSING if found is None else found.value
    plan = reconcile_removed(applied, theirs, overwrites=options.overwrites)
    if plan.action == "delete" and not options.is_dry_run:
        if found is not None:
            tool.delete(applied.kind, applied.tool_id)
        folder.remove(applied.path)
    return ApplyOutcome(applied.path, plan.action, plan.conflicts)


def find_drift(tool: Tool, folder: AppliedFolder) -> Iterator[DocumentDrift]:
    """Yield what people changed since the last apply, for each applied document. Raises InvalidFolder."""
    for path, applied in folder.read().items():
        try:
            found = tool.fetch(applied.kind, applied.tool_id)
        except ToolError as error:
            yield DocumentDrift(path, (), str(error))
            continue
        theirs: Json = MISSING if found is None else found.value
        yield DocumentDrift(path, tuple(find_differences(applied.stored, theirs, applied.item_keys)))
