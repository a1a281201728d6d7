"""Applies documents to a tool, and finds what people changed there.

Called by the commands of `generate`. Applying again without a change writes nothing. A document that the tool
refuses does not keep the others from being applied.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from observability.generation.core.applied_folder import AppliedFolder
from observability.generation.core.document import GeneratedDocument, Json, resolve_references
from observability.generation.core.drift import ValueDifference, find_differences
from observability.generation.core.merge import MISSING, MergeConflict
from observability.generation.core.reconciliation import (
    AppliedDocument,
    ApplyAction,
    Reconciliation,
    reconcile,
    reconcile_removed,
    record_result,
)
from observability.generation.core.tool import Tool, ToolDocument, ToolError


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

    def is_referenced(one: AppliedDocument) -> bool:
        return any(one.tool_id in text for path, text in texts.items() if path != one.path)

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
    found = tool.find(document) if applied is None else tool.fetch(document.kind, applied.tool_id)
    theirs = MISSING if found is None else found.value
    if found is not None:
        ids[document.path] = found.id
    plan = reconcile(document, applied, ours, theirs, overwrites=options.overwrites)
    if options.is_dry_run or (plan.action == "none" and found is None):
        return ApplyOutcome(document.path, plan.action, plan.conflicts)
    written = found if found is not None and plan.action == "none" else _write(tool, document, plan, found)
    ids[document.path] = written.id
    record = record_result(document, ours, plan, written)
    if record != applied:
        folder.store(record)
    return ApplyOutcome(document.path, plan.action, plan.conflicts)


def _write(tool: Tool, document: GeneratedDocument, plan: Reconciliation, found: ToolDocument | None) -> ToolDocument:
    return tool.write(document, plan.value, None if found is None else found.id)


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
