from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.expectations.numbers import number_of
from jobs.expectations.wildcards import is_like
from tests.jobs.expectations.judged import answer, entries, failure, failures


def holds(value: Any, **comparison: Any) -> bool:
    return failures(answer(json.dumps(value)), {"json": "$", **comparison}) == ()


@pytest.mark.parametrize(
    ("value", "comparison", "true"),
    [
        ("ok", {"not_equals": "down"}, True),
        ("ok", {"not_equals": "ok"}, False),
        (None, {"not_equals": None}, False),
        ("all is well", {"contains": "is"}, True),
        (["a", "b"], {"contains": "a"}, True),
        (["ab"], {"contains": "a"}, False),
        ([1, 2], {"contains": 2.0}, True),
        ([1, 2], {"not_contains": True}, True),
        ({"a": 1}, {"contains": '"a":1'}, True),
        (12, {"starts_with": "1"}, True),
        ("mx1.example.com", {"not_ends_with": ".com"}, False),
        ("v1.2", {"not_matches": r"^v2"}, True),
        ("livingroom", {"like": "l*g*m"}, True),
        ("livingroom", {"not_like": "l*g*m"}, False),
        ("b", {"one_of": ["a", "b"]}, True),
        (1, {"one_of": [True, "1"]}, False),
        ("0x1f", {"above": 30}, True),
        ("1e3", {"at_most": "1000"}, True),
        ("many", {"below": 5}, False),
        (True, {"above": 0}, False),
        (None, {"at_least": 0}, False),
        ([1, 2, 3], {"length": 3}, True),
        ("🤠🤠", {"length": {"at_least": 2, "below": 3}}, True),
        ({"a": 1, "b": 2}, {"length": 2}, True),
        (18, {"length": {"equals": 2}}, True),
    ],
    ids=str,
)
def test_a_value_is_compared(value: Any, comparison: dict[str, Any], true: bool) -> None:
    assert holds(value, **comparison) is true


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ({"not_equals": "ok"}, 'not "ok"'),
        ({"starts_with": "v2"}, "a value that begins with 'v2'"),
        ({"one_of": ["a", 1]}, 'one of "a", 1'),
        ({"above": 5}, "more than 5"),
        ({"length": {"at_least": 9}}, "a length of at least 9"),
        ({"like": "a*"}, "a value like 'a*'"),
        ({"exists": False}, "nothing"),
    ],
    ids=str,
)
def test_what_was_expected_is_told_in_words(comparison: dict[str, Any], expected: str) -> None:
    assert failure(answer('"ok"'), {"json": "$", **comparison}).expected == expected


@pytest.mark.parametrize("name", ["equals", "not_equals", "not_contains", "not_matches", "below", "length"])
def test_what_is_not_there_fails_unless_that_is_ok(name: str) -> None:
    entry = {"json": "$.nosuch", name: "1" if name.endswith("matches") else 1}
    assert failure(answer("{}"), entry).observed == "nothing"
    assert failures(answer("{}"), entry | {"missing": "ok"}) == ()


def test_a_header_may_be_missing_but_not_wrong() -> None:
    entry = {"header": "X-Cache", "one_of": ["HIT", "MISS"], "missing": "ok"}
    assert failures(answer(), entry) == ()
    assert failures(answer(headers={"x-cache": "STALE"}), entry) != ()


def test_headers_and_bodies_are_texts() -> None:
    assert failures(answer("5\n", headers={"x-count": "5"}), {"body": {"equals": 5}}) == ()
    assert failures(answer(headers={"x-count": "5"}), {"header": "x-count", "equals": 5}) == ()


def test_a_body_is_told_beside_what_it_should_be() -> None:
    assert str(failure(answer("down"), {"body": {"equals": "pong"}})) == "body: expected 'pong', observed 'down'"
    assert failure(answer(" "), {"body": {"exists": True}}).observed == "an empty body"


@pytest.mark.parametrize(
    "entry",
    [
        {"json": "$", "not_equals": 1},
        {"json": "$.a", "length": {"at_least": 1}},
        {"json": "$.a", "length": 3, "severity": "degraded"},
        {"header": "x", "one_of": ["a"], "missing": "ok"},
        {"body": {"like": "a*"}},
        {"redirects": 0},
        {"redirects": {"at_most": 2}},
        {"certificate_valid_for": "14d"},
        {"tls": "absent"},
        {"cel": "status == 200"},
        {"fact": "values.order", "exists": True},
    ],
    ids=str,
)
def test_an_entry_is_written_as_it_was_said(entry: dict[str, Any]) -> None:
    (read,) = entries(entry)
    assert read.model_dump(by_alias=True, mode="json") == entry
    assert entries(read.model_dump(by_alias=True, mode="json")) == (read,)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_a_wildcard_is_any_text_and_nothing_else(pattern: str, text: str) -> None:
    wanted = ".*".join(map(re.escape, pattern.split("*")))
    assert is_like(text, pattern) is (re.fullmatch(wanted, text) is not None)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_itself_also_as_a_text(number: int | float) -> None:
    if len(str(number)) <= 100:
        assert number_of(str(number)) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_000", "0x", "12 apples", "1e999", "٣", "9" * 101])
def test_a_text_that_is_no_number_is_none(text: str) -> None:
    assert number_of(text) is None
