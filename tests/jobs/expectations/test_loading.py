from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.problems import validation_problems
from tests.jobs.expectations.helpers import ENTRIES, entries

_ALL: list[dict[str, Any]] = [
    {"status": "200-299,304"},
    {"response_time_below": "800ms"},
    {"body_contains": "ready"},
    {"body_matches": r"^v\d+"},
    {"json": "$.status", "equals": "ok"},
    {"json": "$.error", "equals": None},
    {"json": "$.items", "equals": [1, {"a": False}]},
    {"json": "$.version", "matches": r"^1\."},
    {"json": "$.debug", "exists": False},
    {"header": "Content-Type", "equals": "text/plain"},
    {"header": "Content-Type", "contains": "json"},
    {"header": "ETag", "exists": True},
    {"max_body": 65536},
]


def problem(entry: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        entries(entry)
    (one,) = validation_problems(caught.value, ENTRIES._type)
    return str(one)


@pytest.mark.parametrize("entry", _ALL, ids=str)
def test_an_entry_is_written_as_it_was_read(entry: dict[str, Any]) -> None:
    (read,) = entries(entry)
    assert read.model_dump(by_alias=True, mode="json") == entry


def test_entries_that_are_written_as_json_are_read_back_the_same() -> None:
    read = entries(*_ALL)
    assert ENTRIES.validate_json(ENTRIES.dump_json(read, by_alias=True)) == read


def test_entries_that_are_models_already_are_read_as_they_are() -> None:
    read = entries(*_ALL)
    assert ENTRIES.validate_python(read) == read


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"json": "$.a"}, "add one of equals, not_equals, contains,"),
        ({"header": "etag"}, "at_most, length, age_below, expires_in, exists"),
        ({"json": "$.a", "equals": 1, "exists": True}, "has equals and exists in one entry: write one entry for each"),
        ({"json": "$[", "exists": True}, "is not a JSONPath"),
        ({"json": "$[?@.a < 1e400]", "exists": True}, "a number in it is too large"),
        ({"json": "status", "exists": True}, "start it with $"),
        ({"json": "$" * 1001, "exists": True}, "too long"),
        ({"json": "$.a", "equals": float("nan")}, "is not a JSON value"),
        ({"json": "$.a", "equals": {1: 2}}, "in quotes"),
        ({"json": "$[?nosuch(@.a)]", "exists": True}, "is not a JSONPath"),
        ({"body_matches": "(unclosed"}, "is not a regular expression"),
        ({"body_matches": 5}, "5 is not a text"),
        ({"body_contains": ""}, "too short"),
        ({"body_matches": ""}, "too short"),
        ({"body_not_matches": ""}, "too short"),
        ({"response_time_below": 800}, "has no unit"),
        ({"response_time_below": "0s"}, "more than 0"),
        ({"max_body": "a lot"}, "write it like 512KiB"),
        ({"header": "not a name", "exists": True}, "the name of a header"),
        ({"status": 200, "body_contains": "x"}, "unknown key"),
        ({"json": "$.a", "equal": 1}, "equals"),
    ],
    ids=str,
)
def test_a_wrong_entry_is_refused_with_a_remedy(entry: dict[str, Any], message: str) -> None:
    assert message in problem(entry)


@pytest.mark.parametrize("entry", [{"stauts": 200}, {"contains": "x"}, {}], ids=str)
def test_an_entry_of_no_known_kind_is_reported_the_known_ones(entry: dict[str, Any]) -> None:
    reported = problem(entry)
    assert all(
        key in reported
        for key in ("status", "response_time_below", "body_contains", "body_matches", "json", "header", "max_body")
    )


@pytest.mark.parametrize("entry", [5, "status", None, [200]], ids=str)
def test_an_entry_that_is_no_mapping_is_refused(entry: Any) -> None:
    assert "is not a mapping" in problem(entry)


def test_a_value_that_holds_itself_is_refused() -> None:
    circle: list[Any] = []
    circle.append(circle)
    assert "nested too deeply" in problem({"json": "$.a", "equals": circle})
