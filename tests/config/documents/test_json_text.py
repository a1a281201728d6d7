"""JSON is read strictly, and the lines of its keys are found."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.documents.json_text import find_json_lines, parse_json
from config.documents.parse_result import ParseError


def error(text: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_json(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ('{"a": 1\n,}', 2, "is not valid JSON"),
        ("{'a': 1}", 1, "a key in double quotes is expected here (column 2)"),
        ('{"a": 1\n"b": 2}', 2, "a comma or a closing bracket is missing here"),
        ('{"a" 1}', 1, "a colon is missing"),
        ('{"a": True}', 1, "a value is expected here"),
        ('{"a": 1}\n{}', 2, "something follows"),
        ('{"a": "x}', 1, "a text is not closed"),
        ('{"a": "x\ny"}', 1, "a line break or control character stands inside a text"),
        ('{"a": "C:\\dir"}', 1, "a backslash inside a text"),
        ("", 1, "a value is expected here"),
        ('{"NaN": "NaN",\n"a": NaN}', 2, "NaN is not a JSON value"),
        (f'{{"b": "{"9" * 5000}",\n"a": {"9" * 5000}}}', 2, "a number has thousands of digits"),
        (
            r"""{"b": "\ud83d\ude00",
            "a": "\ud83d"}""",
            2,
            "half of a surrogate pair",
        ),
        (r'{"\uDE00": 1}', 1, "half of a surrogate pair"),
        ("[\n" * 200_000, 101, "nested deeper"),
        ("[\n" * 150 + "]" * 150, 101, "nested deeper than 100 levels"),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_line(text: str, line: int, part: str) -> None:
    problem = error(text)
    assert part in problem.message
    assert problem.line == line


def test_a_key_that_stands_twice_is_found_with_both_lines() -> None:
    text = '{"a": {"b": 1,\n "c": [1, {"b": 1}],\n "b": 3}}'
    assert parse_json(text).duplicates == [("a", "b")]
    assert find_json_lines(text)["a", "b"] == [1, 3]


def test_lines_of_keys_and_list_entries() -> None:
    text = '{\n"a": [\n1,\n{"b": "x, {[\\"",\n"c": {}}\n],\n"d": 1}'
    assert {path: one for path, (one, *_) in find_json_lines(text).items()} == {
        (): 1,
        ("a",): 2,
        ("a", 0): 3,
        ("a", 1): 4,
        ("a", 1, "b"): 4,
        ("a", 1, "c"): 5,
        ("d",): 7,
    }


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


def _paths(value: Any, path: tuple[str | int, ...] = ()) -> set[tuple[str | int, ...]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {path}.union(*(_paths(child, (*path, key)) for key, child in children))


@given(_plain, st.sampled_from([None, 1]))
def test_every_key_has_a_line(written: Any, indent: int | None) -> None:
    text = json.dumps(written, indent=indent)
    assert parse_json(text).value == written
    assert set(find_json_lines(text)) == _paths(written)


@given(_plain, st.sampled_from([None, 1]))
def test_the_lines_of_the_outermost_levels_are_known_at_once(written: Any, indent: int | None) -> None:
    text = json.dumps(written, indent=indent)
    assert parse_json(text).entry_lines == {
        path: line for path, line in find_json_lines(text).items() if len(path) <= 2
    }


@given(st.text(st.sampled_from('{}[],:"\\ \n\ta1-'), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ParseError):
        parse_json(text)
    find_json_lines(text)
