"""The folder of generated files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from observability.generation.document import GeneratedDocument, InvalidFolder, compare_folder, write_documents

DOCUMENTS = (
    GeneratedDocument("rules.yaml", {"groups": [{"name": "ä"}]}),
    GeneratedDocument("a/b.json", {"b": 1, "a": 2}),
)


def test_a_second_run_writes_nothing(tmp_path: Path) -> None:
    assert write_documents(tmp_path, DOCUMENTS).outdated == ("a/b.json", "manifest.json", "rules.yaml")
    assert (tmp_path / "a/b.json").read_text() == '{\n  "a": 2,\n  "b": 1\n}\n'
    assert (tmp_path / "rules.yaml").read_text(encoding="utf-8") == "groups:\n- name: ä\n"
    assert not write_documents(tmp_path, DOCUMENTS)


def test_a_file_that_was_changed_is_outdated(tmp_path: Path) -> None:
    write_documents(tmp_path, DOCUMENTS)
    (tmp_path / "a/b.json").write_text("{}")
    assert compare_folder(tmp_path, DOCUMENTS).outdated == ("a/b.json",)


def test_files_of_former_documents_are_deleted_and_others_stay(tmp_path: Path) -> None:
    write_documents(tmp_path, DOCUMENTS)
    (tmp_path / "README.md").write_text("ours")
    assert write_documents(tmp_path, DOCUMENTS[:1]).removed == ("a/b.json",)
    assert not (tmp_path / "a/b.json").exists()
    assert (tmp_path / "README.md").exists()


def test_a_manifest_cannot_name_files_outside_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "jobs.yaml").write_text("jobs: {}")
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps({"files": ["../jobs.yaml", str(tmp_path / "jobs.yaml")]}))
    assert write_documents(folder, DOCUMENTS).removed == ()
    assert (tmp_path / "jobs.yaml").exists()


def test_a_folder_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(InvalidFolder, match="choose another folder by --out"):
        write_documents(tmp_path / "out", DOCUMENTS)
