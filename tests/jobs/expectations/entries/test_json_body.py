from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.expectations.entry import is_json_equal
from tests.jobs.expectations.helpers import answer, failure, failures

_JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def holds(document: Any, **entry: Any) -> bool:
    return failures(answer(json.dumps(document)), entry) == ()


@given(_JSON)
def test_a_document_equals_itself_after_a_journey_as_text(document: Any) -> None:
    assert holds(document, json="$", equals=document)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, True),
        (0, False),
        (1, "1"),
        (None, False),
        ([1], [True]),
        ({"a": 1}, {"a": True}),
        ([], {}),
        ("a", "A"),
        ([1], [1, 2]),
    ],
)
def test_values_of_two_types_are_not_equal(one: Any, other: Any) -> None:
    assert not is_json_equal(one, other)
    assert not is_json_equal(other, one)


@pytest.mark.parametrize(("one", "other"), [(1, 1.0), ([1, {"a": 2}], [1.0, {"a": 2.0}]), (-0.0, 0)])
def test_numbers_are_equal_by_value(one: Any, other: Any) -> None:
    assert is_json_equal(one, other)


def test_every_selected_value_must_hold() -> None:
    document = {"nodes": [{"state": "up"}, {"state": "down"}]}
    reported = failure(answer(json.dumps(document)), {"json": "$.nodes[*].state", "equals": "up"})
    assert str(reported) == 'json $.nodes[*].state: expected "up", observed "down" (one of 2 values)'


def test_at_least_one_value_must_be_selected() -> None:
    reported = failure(answer('{"nodes": []}'), {"json": "$.nodes[*].state", "equals": "up"})
    assert reported.observed == "no value"


@pytest.mark.parametrize(
    ("value", "pattern", "matches"),
    [("v1.2", r"^v1\.", True), (12, r"^1\d$", True), (True, "^true$", True), (None, "^$", False)],
)
def test_a_pattern_is_searched_in_texts_as_they_are_and_in_other_values_as_json(
    value: Any, pattern: str, matches: bool
) -> None:
    assert holds({"a": value}, json="$.a", matches=pattern) is matches


@pytest.mark.parametrize(
    ("path", "exists", "expected"),
    [("$.a", True, True), ("$.b", True, False), ("$.b", False, True), ("$.a", False, False)],
)
def test_a_value_may_have_to_exist_or_not(path: str, exists: bool, expected: bool) -> None:
    assert holds({"a": None}, json=path, exists=exists) is expected


def test_a_value_that_must_not_exist_is_reported() -> None:
    reported = failure(answer('{"error": "disk full"}'), {"json": "$.error", "exists": False})
    assert str(reported) == 'json $.error: expected no value, observed "disk full"'


@pytest.mark.parametrize(
    ("body", "observed"),
    [
        (b"", "an empty body"),
        (b"  \n", "an empty body"),
        (b"<html>", "not JSON: '<html>'"),
        (b'{"a": NaN}', "not JSON: '{\"a\": NaN}'"),
        (b"{'a': 'b',}", "not JSON: '{'a': 'b',}'"),
        (b"[" * 100_000, "JSON that is nested too deeply"),
        (b"\xff\xfe", "not JSON"),
        (b"9" * 5000, "not JSON"),
    ],
    ids=["empty", "blank", "html", "nan", "python", "deep", "bytes", "digits"],
)
def test_a_body_that_is_no_json_never_holds(body: bytes, observed: str) -> None:
    reported = failure(answer(body), {"json": "$.a", "exists": False})
    assert reported.observed.startswith(observed)


def test_json_that_was_not_read_whole_is_reported_as_such() -> None:
    reported = failure(answer('{"a": [1, 2', body_truncated=True), {"json": "$.a", "exists": True})
    assert reported.observed == "incomplete JSON: reading stopped after 11 bytes (read_limit)"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_json_may_come_in_any_unicode_encoding(encoding: str) -> None:
    assert failures(answer('{"a": "é"}'.encode(encoding)), {"json": "$.a", "equals": "é"}) == ()


def test_a_path_that_selects_too_much_is_abandoned() -> None:
    document = [[[0] * 30] * 30] * 30
    reported = failure(answer(json.dumps(document)), {"json": "$..*", "equals": 0})
    assert reported.observed == "it selects more than 10000 values: make the path more specific"


def test_a_document_that_is_too_deep_for_a_path_is_reported_as_such() -> None:
    reported = failure(answer("[" * 300 + "]" * 300), {"json": "$..a", "exists": False})
    assert reported.observed == "the document is nested too deeply"


def test_a_pattern_that_backtracks_forever_is_abandoned_in_json_too() -> None:
    reported = failure(answer(json.dumps({"a": "a" * 40 + "!"})), {"json": "$.a", "matches": "^(a|aa)+$"})
    assert "simplify the pattern" in reported.observed
