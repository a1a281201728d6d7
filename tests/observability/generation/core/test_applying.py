"""Applying to a tool in memory that stores documents with defaults, as tools do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from observability.generation.applying import AppliedFolder, ApplyOptions, ApplyOutcome, apply_documents, find_drift
from observability.generation.document import GeneratedDocument, InvalidFolder, ToolDocument, ToolError, reference_id


class MemoryTool:
    """Stores documents, adds a default, and writes units in its own way."""

    def __init__(self) -> None:
        self.documents: dict[str, dict[str, Any]] = {}
        self.writes: list[str] = []
        self.refused: set[str] = set()

    def fetch(self, kind: str, tool_id: str) -> ToolDocument | None:
        value = self.documents.get(tool_id)
        return None if value is None else ToolDocument(tool_id, value)

    def find(self, document: GeneratedDocument) -> ToolDocument | None:
        return self.fetch(document.kind, f"id-{document.path}")

    def write(self, document: GeneratedDocument, value: Any, tool_id: str | None) -> ToolDocument:
        if document.path in self.refused:
            raise ToolError("the tool answered 403")
        found = tool_id or f"id-{document.path}"
        self.documents[found] = {"refresh": "1m", **value, "unit": str(value.get("unit", "s")).lower()}
        self.writes.append(document.path)
        return ToolDocument(found, self.documents[found])

    def delete(self, kind: str, tool_id: str) -> None:
        del self.documents[tool_id]


def document(path: str = "a.json", **value: Any) -> GeneratedDocument:
    return GeneratedDocument(path, {"title": "A", "unit": "S", **value}, "dashboard")


@pytest.fixture
def tool() -> MemoryTool:
    return MemoryTool()


@pytest.fixture
def folder(tmp_path: Path) -> AppliedFolder:
    return AppliedFolder(tmp_path / "applied")


def apply(
    tool: MemoryTool, folder: AppliedFolder, *documents: GeneratedDocument, **options: bool
) -> Mapping[str, ApplyOutcome]:
    return {one.path: one for one in apply_documents(documents, tool, folder, ApplyOptions(**options))}


def test_a_document_is_created_and_a_second_apply_writes_nothing(tool: MemoryTool, folder: AppliedFolder) -> None:
    first, second = apply(tool, folder, document()), apply(tool, folder, document())
    assert (first["a.json"].action, second["a.json"].action) == ("create", "none")
    assert tool.writes == ["a.json"]


def test_a_change_by_hand_is_kept_and_is_drift_before_and_after_an_apply(
    tool: MemoryTool, folder: AppliedFolder
) -> None:
    apply(tool, folder, document())
    tool.documents["id-a.json"] |= {"title": "Mine"}
    for _ in range(2):
        ((difference,),) = [one.differences for one in find_drift(tool, folder)]
        assert (difference.pointer, difference.before, difference.after) == (("title",), "A", "Mine")
        assert apply(tool, folder, document(new=1))["a.json"].conflicts == ()
    assert tool.documents["id-a.json"] == {"title": "Mine", "unit": "s", "refresh": "1m", "new": 1}


def test_what_the_tool_writes_in_its_own_way_is_not_a_change_by_hand(tool: MemoryTool, folder: AppliedFolder) -> None:
    apply(tool, folder, document())
    assert [one.differences for one in find_drift(tool, folder)] == [()]
    assert apply(tool, folder, document(unit="MS"))["a.json"].conflicts == ()
    assert tool.documents["id-a.json"]["unit"] == "ms"
    assert [one.differences for one in find_drift(tool, folder)] == [()]


def test_a_conflict_keeps_theirs_and_remains_until_it_is_overwritten(tool: MemoryTool, folder: AppliedFolder) -> None:
    apply(tool, folder, document(), document("b.json"))
    tool.documents["id-a.json"] |= {"title": "Mine", "note": "keep"}
    for _ in range(2):
        (conflict,) = apply(tool, folder, document(title="B"))["a.json"].conflicts
        assert (conflict.base, conflict.ours, conflict.theirs) == ("A", "B", "Mine")
    apply(tool, folder, document(title="B"), overwrites=True)
    assert tool.documents["id-a.json"] == {"title": "B", "note": "keep", "unit": "s", "refresh": "1m"}
    assert apply(tool, folder, document(title="B"))["a.json"].conflicts == ()


def test_a_dry_run_changes_neither_the_tool_nor_the_folder(tool: MemoryTool, folder: AppliedFolder) -> None:
    assert apply(tool, folder, document(), is_dry_run=True)["a.json"].action == "create"
    assert (tool.documents, folder.read()) == ({}, {})


def test_a_document_that_is_not_generated_any_more_is_deleted(tool: MemoryTool, folder: AppliedFolder) -> None:
    apply(tool, folder, document(), document("b.json"))
    assert apply(tool, folder, document())["b.json"].action == "delete"
    assert (list(tool.documents), list(folder.read())) == (["id-a.json"], ["a.json"])


def test_one_that_a_person_changed_is_deleted_only_with_overwrite(tool: MemoryTool, folder: AppliedFolder) -> None:
    apply(tool, folder, document())
    tool.documents["id-a.json"] |= {"title": "Mine"}
    outcome = apply(tool, folder)["a.json"]
    assert (outcome.action, len(outcome.conflicts)) == ("none", 1)
    assert apply(tool, folder, overwrites=True)["a.json"].action == "delete"
    assert tool.documents == {}


def test_a_document_that_a_person_deleted_stays_deleted_until_it_is_overwritten(
    tool: MemoryTool, folder: AppliedFolder
) -> None:
    apply(tool, folder, document())
    tool.documents.clear()
    assert [len(one.differences) for one in find_drift(tool, folder)] == [1]
    assert apply(tool, folder, document())["a.json"] == ApplyOutcome("a.json", "none")
    assert len(apply(tool, folder, document(title="B"))["a.json"].conflicts) == 1
    assert apply(tool, folder, document(title="B"), overwrites=True)["a.json"].action == "create"


def test_without_the_folder_the_document_is_found_again_and_differences_are_conflicts(
    tool: MemoryTool, folder: AppliedFolder, tmp_path: Path
) -> None:
    apply(tool, folder, document())
    outcome = apply(tool, AppliedFolder(tmp_path / "other"), document(title="B"))["a.json"]
    assert (outcome.action, [one.pointer for one in outcome.conflicts]) == ("none", [("title",), ("unit",)])
    assert len(tool.documents) == 1


def test_a_document_that_the_tool_refuses_does_not_keep_others_from_being_applied(
    tool: MemoryTool, folder: AppliedFolder
) -> None:
    tool.refused.add("a.json")
    outcomes = apply(tool, folder, document(), document("b.json"))
    assert outcomes["a.json"].error == "the tool answered 403"
    assert outcomes["b.json"].action == "create"


def test_a_reference_is_the_id_of_the_document_in_the_tool(tool: MemoryTool, folder: AppliedFolder) -> None:
    rule = document("b.json", query=f'burn_rate("{reference_id("a.json")}")')
    apply(tool, folder, document(), rule)
    assert tool.documents["id-b.json"]["query"] == 'burn_rate("id-a.json")'
    assert apply(tool, folder, document(), rule)["b.json"].action == "none"


def test_a_damaged_record_is_named(tool: MemoryTool, folder: AppliedFolder, tmp_path: Path) -> None:
    apply(tool, folder, document())
    (tmp_path / "applied" / "a.json").write_text('{"version": 1}')
    with pytest.raises(InvalidFolder, match=r"a\.json is not a record of an applied document"):
        apply(tool, folder, document())
