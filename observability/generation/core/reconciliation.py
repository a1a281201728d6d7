"""What has to be done with a document: from what was applied, what is generated, and what is in the tool. Pure.

Called by observability.generation.core.applying. A tool stores a document with defaults and in other words, so two
values of the last apply are known: as it was generated, and as the tool stored it without changes of people.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from observability.generation.core.document import DEFAULT_ITEM_KEYS, GeneratedDocument, ItemKey, Json, is_same_json
from observability.generation.core.merge import MISSING, MergeConflict, merge
from observability.generation.core.tool import ToolDocument

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
