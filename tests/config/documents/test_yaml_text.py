"""YAML becomes plain values as YAML 1.2 reads them, within bounds."""

from __future__ import annotations

import contextlib
import re
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.documents.parse_result import ParseError
from config.documents.yaml_text import find_yaml_lines, parse_yaml


def value(text: str) -> Any:
    return parse_yaml(text).value


def error(text: str) -> ParseError:
    with pytest.raises(ParseError) as caught:
        parse_yaml(text)
    return caught.value


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("on", "on"),
        ("off", "off"),
        ("10:30", "10:30"),
        ("2026-01-02", "2026-01-02"),
        ("010", 10),
        ("0o17", 15),
        ("0x1f", 31),
        ("-5", -5),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        (".5", 0.5),
        (".inf", ".inf"),
        ("1_000", "1_000"),
        ("- ", [None]),
        ("'5'", "5"),
        ('"true"', "true"),
        ("!!str 5", "5"),
        ("! 5", "5"),
        ("!!int '5'", 5),
        ("!!map {a: 1}", {"a": 1}),
    ],
)
def test_scalars_are_read_as_in_yaml_1_2(text: str, read: object) -> None:
    assert value(text) == read
    assert type(value(text)) is type(read)


def test_keys_stay_as_they_are_written() -> None:
    assert value("{on: 1, true: 2, 200: 3, 'x y': 4, ~: 5}") == {"on": 1, "true": 2, "200": 3, "x y": 4, "~": 5}


def test_anchors_aliases_and_merges_work() -> None:
    text = "a: &a {x: 1, y: 2}\nb: *a\nc: {<<: *a, y: 3}\nd: {<<: [*a, {x: 9, z: 8}]}\ne: {'<<': 1}"
    assert value(text) == {
        "a": {"x": 1, "y": 2},
        "b": {"x": 1, "y": 2},
        "c": {"x": 1, "y": 3},
        "d": {"x": 1, "y": 2, "z": 8},
        "e": {"<<": 1},
    }


@pytest.mark.parametrize(
    ("text", "line", "part"),
    [
        ("a:\n\tb: 1", 2, "indented by a tab; indent by blanks"),
        ("a:\n  schedule: */5 * * * *", 2, 'must be in quotes; write schedule: "*/5 * * * *"'),
        ("a: *b", 1, "*b names no anchor &b"),
        ("a: &a [*a]", 1, "*a names no anchor"),
        ("a: b: c", 1, "put a text that holds ': ' in quotes"),
        ("a: [1,\nb: 2", 2, "is not valid YAML"),
        ("a: 'x", 1, "a closing quote is missing"),
        ("a: @b", 1, 'a text that begins with @ must be in quotes; write a: "@b"'),
        ("a: 1\n---\nb: 2", 2, "more than one document"),
        ("a: !!python/object:os.system x", 1, "the tag !!python/object:os.system is not known here"),
        ("a: !!python/name:os.system\n  b: 1", 1, "is not known here"),
        ("a: !secret x", 1, "the tag !secret is not known here"),
        ("!x a: 1", 1, "is not known here"),
        ("a: !!int x", 1, "does not fit its tag !!int"),
        ("? [a]\n: b", 1, "a key is a text"),
        ("a: {{ x }}: 1", 1, "a key is a text"),
        ("a: &a x\n*a : 1", 2, "an alias cannot be a key"),
        ("a: {<<: 5}", 1, "<< takes a mapping"),
        (f"a: {'9' * 5000}", 1, "a number has thousands of digits"),
        ("a: \x01", 1, "holds a control character"),
        ("é: ü\nb: \x01", 2, "holds a control character"),
    ],
)
def test_what_cannot_be_read_is_reported_with_its_line(text: str, line: int, part: str) -> None:
    problem = error(text)
    assert part in f"{problem.message}; {problem.hint}"
    assert problem.line == line


def test_aliases_that_stand_for_billions_are_refused() -> None:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    assert "aliases represent more than" in error("\n".join(rows)).message


@pytest.mark.parametrize("text", ["[" * 200_000, "{a: " * 200_000, "- " * 100_000])
def test_deep_nesting_is_refused(text: str) -> None:
    assert "nested deeper than 100 levels" in error(text).message


def test_a_key_that_stands_twice_is_found_with_both_lines() -> None:
    text = "a:\n  b: 1\n  c: 2\n  b: 3\n"
    assert parse_yaml(text).duplicates == [("a", "b")]
    assert find_yaml_lines(text)["a", "b"] == [2, 4]


def test_lines_of_keys_and_list_entries() -> None:
    found = find_yaml_lines("a:\n  - x\n  - b: 1\n    c:\n      d: 2\n")
    assert {path: one for path, (one, *_) in found.items()} == {
        (): 1,
        ("a",): 1,
        ("a", 0): 2,
        ("a", 1): 3,
        ("a", 1, "b"): 3,
        ("a", 1, "c"): 4,
        ("a", 1, "c", "d"): 5,
    }


def test_lines_of_a_broken_text_are_those_before_the_error() -> None:
    assert find_yaml_lines("a: 1\nb: [")["a",] == [1]


# To PyYAML, which goes by YAML 1.1, 0E0 is a text that needs no quotes; by 1.2 it is a number.
_text = st.text().filter(lambda text: not re.fullmatch(r"[-+]?[0-9]+[eE][-+]?[0-9]+", text))
_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | _text | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_text, inner, max_size=4),
    max_leaves=20,
)


@given(_plain)
def test_what_pyyaml_writes_is_read_back(written: Any) -> None:
    try:
        text = yaml.dump(written, Dumper=yaml.CSafeDumper, allow_unicode=True)
    except (UnicodeEncodeError, yaml.YAMLError):
        return
    if "? " in text or "\0" in text:
        return
    assert value(text) == written


def test_the_lines_of_the_outermost_levels_are_known_at_once() -> None:
    text = "a:\n  - x: {y: {z: 1}}\nb:\n  c: {d: 1}\n"
    assert parse_yaml(text).entry_lines == {
        path: line for path, line in find_yaml_lines(text).items() if len(path) <= 2
    }


@given(st.text(st.sampled_from("ab:-[]{}#&*!|>'\"%@`,? \n\t0.~<"), max_size=40))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(ParseError):
        parse_yaml(text)
    find_yaml_lines(text)
