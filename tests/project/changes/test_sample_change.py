"""The helper itself: an edit whose place is gone fails, and so does a file that the document does not name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project.changes.sample_change import SampleChange


@pytest.fixture(scope="module")
def change(tmp_path_factory: pytest.TempPathFactory) -> SampleChange:
    return SampleChange("a setting", tmp_path_factory.mktemp("sample") / "copy")


def test_the_copy_is_not_the_original(change: SampleChange) -> None:
    change.append_row("docs/settings.md", below="## Settings", row="| `added` | | | |")

    assert "| `added` |" in (change.folder / "docs/settings.md").read_text(encoding="utf-8")
    assert "| `added` |" not in Path("docs/settings.md").read_text(encoding="utf-8")


def test_a_marker_that_is_gone_fails(change: SampleChange) -> None:
    with pytest.raises(
        AssertionError, match=r"config/settings/model\.py has 0 lines with 'no such line', expected one"
    ):
        change.insert("config/settings/model.py", after="no such line", text="x")


def test_a_text_that_is_gone_fails(change: SampleChange) -> None:
    with pytest.raises(AssertionError, match="has 'no such text' 0 times, expected once"):
        change.replace("config/settings/model.py", "no such text", "x")


def test_a_new_file_that_exists_fails(change: SampleChange) -> None:
    with pytest.raises(AssertionError, match=r"README\.md exists already"):
        change.write("README.md", "x")


def test_a_program_that_fails_fails(change: SampleChange) -> None:
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        change.python("1 / 0")


def test_files_that_the_document_does_not_name_fail(change: SampleChange) -> None:
    change.write("config/another.py", "x = 1\n")
    with pytest.raises(AssertionError, match=r"touched .*config/another\.py"):
        change.assert_touches_documented_files()
