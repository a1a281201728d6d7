"""Whatever a file contains, it is read or refused with its line, column and a remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from importers.running import detect_source
from importers.source_tree import SourceFile, UnreadableSource
from tests.config.importers.importing import text_file

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{name}: &{name} [{', '.join([f'*{before}'] * 10)}]" for before, name in zip("abcdef", "bcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("a: 1\nb: [1, 2\nc: 3\n", ":3:2: ", "is not valid YAML"),
        ("a: 1\n\tb: 2\n", ":2:1: ", "indented by a tab"),
        ("a: 1\nb: 2\na: 3\n", ":3:1: ", "is a duplicate: first in line 1"),
        (BOMB, ":6:1: ", "its aliases represent more than"),
        ("[" * 200, ":1:", "nested deeper than 100 levels"),
        ("a: *nothing\n", ":1:", "names no anchor"),
        ("a: 1\n---\nb: 2\n", ":2:1: ", "more than one document"),
        ("a: !!python/object:os.system x\n", ":1:", ""),
    ],
)
def test_a_document_that_cannot_be_read(text: str, place: str, message: str) -> None:
    with pytest.raises(UnreadableSource) as error:
        _ = text_file(text).tree
    assert str(error.value).startswith(f"source.yaml{place}")
    assert message in str(error.value)
    assert error.value.line is not None
    assert error.value.column is not None


def test_a_text_in_another_encoding() -> None:
    with pytest.raises(UnreadableSource, match=r"^a.yaml:2:4: is not UTF-8 text; save the file in the encoding UTF-8"):
        _ = SourceFile(Path("a.yaml"), content=b"a: 1\nb: \xe4\n").document


def test_a_binary_file() -> None:
    with pytest.raises(UnreadableSource, match=r"^a:1:3: holds a NUL byte"):
        _ = SourceFile(Path("a"), content=b"ab\0c").text


def test_json_that_is_cut_off() -> None:
    with pytest.raises(UnreadableSource, match=r"^a.json:1:\d+: is not valid JSON"):
        _ = SourceFile(Path("a.json"), content=b'{"a": ').document


def test_too_many_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importers.source_tree.MAX_LEAVES", 3)
    with pytest.raises(UnreadableSource, match=r"^source.yaml:4: has more than 3 values; split it"):
        _ = text_file("a: 1\nb: 2\nc: 3\nd: 4\n").tree


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(UnreadableSource, match="cannot be read: no such file"):
        _ = SourceFile(tmp_path / "missing").content
    with pytest.raises(UnreadableSource, match="cannot be read: is a directory"):
        _ = SourceFile(tmp_path).content


def test_a_file_of_no_source() -> None:
    with pytest.raises(UnreadableSource, match="no source recognises this file; name the source"):
        detect_source([text_file("just: text\n")])
