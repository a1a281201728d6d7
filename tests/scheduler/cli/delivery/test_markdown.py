"""Markdown of reports: names and messages of others do nothing in it. Parsed with markdown-it-py, tables enabled."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from scheduler.features.delivery.markdown import MAX_COMMENT, cell, code, fenced, join_sections, table

PARSER = MarkdownIt("commonmark").enable("table")
HOSTILE = st.text(st.sampled_from("a `|\\<>@#[]()*_~!&\n\r\t\x1b\u202e:/"), max_size=20)


def read_table(lines: list[str]) -> list[list[list[tuple[str, str]]]]:
    """The rows of the only table: of each cell, the type and content of what is in it."""
    rows: list[list[list[tuple[str, str]]]] = []
    kinds = set()
    for token in PARSER.parse("\n".join(lines)):
        kinds.add(token.type)
        if token.type == "tr_open":
            rows.append([])
        if token.type == "inline":
            rows[-1].append([(child.type, child.content) for child in token.children or ()])
    assert not kinds & {"html_block", "heading_open", "fence", "paragraph_open"}
    return rows


@settings(max_examples=150, deadline=None)
@given(st.lists(HOSTILE, min_size=1, max_size=3))
@example(["a\\|b", "``", "` `"])
def test_hostile_texts_stay_in_their_cells(texts: list[str]) -> None:
    rows = read_table(table(["x"] * len(texts), [[cell(text) for text in texts]] * 2))

    assert len(rows) == 3
    for row in rows[1:]:
        assert len(row) == len(texts)
        for text, parts in zip(texts, row, strict=True):
            kinds = {kind for kind, _ in parts}
            assert kinds <= {"code_inline"} or (parts == [("text", "-")] and not text)


@settings(max_examples=100, deadline=None)
@given(HOSTILE)
def test_a_code_span_shows_the_text_itself(text: str) -> None:
    shown = text.encode("unicode_escape").decode().replace("\\\\", "\\") if not text.isprintable() else text
    (block,) = [token for token in PARSER.parse(f"x {code(text)} y") if token.type == "inline"]

    codes = [child.content for child in block.children or () if child.type == "code_inline"]
    if text.strip():
        assert codes == [shown]
    else:
        assert [child.type for child in block.children or ()] in (["text"], ["text", "code_inline", "text"])


@pytest.mark.parametrize("text", ["@team please", "#12", "<script>", "http://evil.example", "~~x~~", "**x**", "[a](b)"])
def test_nothing_of_a_text_is_read_as_markdown(text: str) -> None:
    assert code(text) == f"`{text}`"


def test_a_long_value_is_cut() -> None:
    assert code("x" * 500, 10) == "`xxxxxxxxxx…`"


@settings(max_examples=50, deadline=None)
@given(st.lists(HOSTILE, max_size=4))
@example(["```", "````x", "</details>"])
def test_a_code_block_ends_at_its_end(lines: list[str]) -> None:
    tokens = PARSER.parse("\n".join([*fenced(lines, "yaml"), "", "after"]))

    assert [token.type for token in tokens] == ["fence", "paragraph_open", "inline", "paragraph_close"]
    assert tokens[0].content.count("\n") == len(lines)


def test_sections_that_do_not_fit_are_counted() -> None:
    text = join_sections((["a"], [], ["x" * MAX_COMMENT], ["b"]))

    assert text == "a\n\nb\n\n1 section is too long for a comment: `--json` has everything.\n"
