"""Files become documents, whatever is in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.documents import document as documents
from config.documents.document import UnreadableFile, parse_document, read_file


def problem(content: bytes, name: str = "a.yaml") -> str:
    with pytest.raises(UnreadableFile) as caught:
        parse_document(content, name)
    return str(caught.value)


def test_a_byte_order_mark_does_no_harm() -> None:
    assert parse_document(b"\xef\xbb\xbfa: 1", "a.yaml").value == {"a": 1}


def test_another_encoding_is_reported_with_its_line() -> None:
    assert problem(b"a: 1\nb: \xe4") == "a.yaml:2: is not UTF-8 text; save the file in the encoding UTF-8"


def test_a_nul_byte_is_reported_with_its_line() -> None:
    assert problem(b"a: 1\n\nb: \0") == "a.yaml:3: holds a NUL byte: it is not a text file"


def test_a_syntax_error_is_reported_with_file_and_line() -> None:
    assert problem(b'{"a"}', "x/b.JSON").startswith("x/b.JSON:1: is not valid JSON: a colon is missing")


def test_a_file_that_is_missing_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"^a\.yaml: cannot be read: no such file or directory$"):
        read_file(tmp_path / "a.yaml", "a.yaml")


def test_a_folder_in_a_files_place_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match="cannot be read"):
        read_file(tmp_path, "a.yaml")


def test_a_file_that_is_too_large_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MAX_FILE_BYTES", 10)
    (tmp_path / "a.yaml").write_bytes(b"x" * 11)
    with pytest.raises(UnreadableFile, match="is larger than"):
        read_file(tmp_path / "a.yaml", "a.yaml")


def test_substitutions_stand_in_place_of_their_names() -> None:
    document = parse_document(b"a: ${X}/b\nc: ${Y}", "a.yaml", substitutions={"X": "http://127.0.0.1:1"})
    assert document.value == {"a": "http://127.0.0.1:1/b", "c": "${Y}"}


def test_the_line_of_a_missing_key_is_that_of_the_mapping_around_it() -> None:
    document = parse_document(b"a:\n  b:\n    c: 1\n", "a.yaml")
    assert document.line_of(("a", "b", "zzz", "y")) == 2
    assert document.line_of(("zzz",)) == 1


def test_duplicates_are_reported_with_both_lines() -> None:
    document = parse_document(b"a: 1\nb: 2\na: 3\na: 4\n", "a.yaml")
    assert [str(problem) for problem in document.duplicate_problems()] == [
        "a.yaml:3: a: is a duplicate: first in line 1; keep one of them",
        "a.yaml:4: a: is a duplicate: first in line 1; keep one of them",
    ]
