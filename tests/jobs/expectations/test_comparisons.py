from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.expectations.measures import read_number
from jobs.formats import matches_wildcard
from tests.jobs.expectations.helpers import answer, entries, failure, failures


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


def _ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    [
        lambda instant: instant.isoformat(),
        lambda instant: instant.isoformat().replace("+00:00", "Z"),
        lambda instant: instant.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat(" "),
        lambda instant: instant.replace(tzinfo=None).isoformat(),
        lambda instant: f"{instant:%Y-%m-%dT%H:%M:%S}.123456789z",
        lambda instant: format_datetime(instant, usegmt=True),
        lambda instant: f"{instant:%A, %d-%b-%y %H:%M:%S} GMT",
        lambda instant: int(instant.timestamp()),
        lambda instant: int(instant.timestamp() * 1000),
        lambda instant: str(instant.timestamp()),
    ],
)
def test_an_instant_is_compared_by_its_age_however_it_is_written(written: Callable[[datetime], Any]) -> None:
    assert holds(written(_ago(600)), age_below="20m")
    assert not holds(written(_ago(600)), age_below="5m")


def test_a_date_is_its_first_instant_and_one_to_come_is_new() -> None:
    assert holds(f"{datetime.now(UTC):%Y-%m-%d}", age_below="25h")
    assert not holds(f"{_ago(3 * 86400):%Y-%m-%d}", age_below="25h")
    assert holds(_ago(-600).isoformat(), age_below="1s")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2026-02-30T00:00:00Z",
        "Thu, 99 Nov 2026 15:00:00 GMT",
        "Thu, 26 Nov 99999999999 15:00:00 GMT",
        "0001-01-01T00:00:00+14:00",
        "2026-11-26T" + "0" * 99,
        "9" * 99,
        "1" * 5000,
        1e300,
        True,
        None,
        [],
    ],
    ids=lambda value: str(value)[:30],
)
def test_what_is_no_instant_is_not_new(value: Any) -> None:
    assert not holds(value, age_below="365d")


def test_an_instant_that_is_too_old_is_reported_with_the_age_that_is_allowed() -> None:
    reported = failure(answer(headers={"last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}), _OLD)
    assert (reported.expected, reported.observed) == ("an instant less than 1h ago", "'Thu, 01 Jan 2026 00:00:00 GMT'")


_OLD = {"header": "Last-Modified", "age_below": "1h"}


@pytest.mark.parametrize(
    ("comparison", "expected"),
    [
        ({"not_equals": "ok"}, 'not "ok"'),
        ({"starts_with": "v2"}, "a value that starts with 'v2'"),
        ({"one_of": ["a", 1]}, 'one of "a", 1'),
        ({"above": 5}, "more than 5"),
        ({"length": {"at_least": 9}}, "a length of at least 9"),
        ({"like": "a*"}, "a value that matches 'a*'"),
        ({"exists": False}, "no value"),
    ],
    ids=str,
)
def test_what_was_expected_is_reported_in_words(comparison: dict[str, Any], expected: str) -> None:
    assert failure(answer('"ok"'), {"json": "$", **comparison}).expected == expected


@pytest.mark.parametrize("name", ["equals", "not_equals", "not_contains", "not_matches", "below", "length"])
def test_what_is_missing_fails_unless_that_is_ok(name: str) -> None:
    entry = {"json": "$.nosuch", name: "1" if name.endswith("matches") else 1}
    assert failure(answer("{}"), entry).observed == "no value"
    assert failures(answer("{}"), entry | {"missing": "ok"}) == ()


def test_a_header_may_be_missing_but_not_wrong() -> None:
    entry = {"header": "X-Cache", "one_of": ["HIT", "MISS"], "missing": "ok"}
    assert failures(answer(), entry) == ()
    assert failures(answer(headers={"x-cache": "STALE"}), entry) != ()


def test_headers_and_bodies_are_texts() -> None:
    assert failures(answer("5\n", headers={"x-count": "5"}), {"body": {"equals": 5}}) == ()
    assert failures(answer(headers={"x-count": "5"}), {"header": "x-count", "equals": 5}) == ()


def test_a_body_is_reported_next_to_what_it_should_be() -> None:
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
def test_an_entry_is_written_as_it_was_reported(entry: dict[str, Any]) -> None:
    (read,) = entries(entry)
    assert read.model_dump(by_alias=True, mode="json") == entry
    assert entries(read.model_dump(by_alias=True, mode="json")) == (read,)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=10))
def test_a_wildcard_is_any_text_and_nothing_else(pattern: str, text: str) -> None:
    required = ".*".join(map(re.escape, pattern.split("*")))
    assert matches_wildcard(text, pattern) is (re.fullmatch(required, text) is not None)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_itself_also_as_a_text(number: int | float) -> None:
    if len(str(number)) <= 100:
        assert read_number(str(number)) == number


@pytest.mark.parametrize("text", ["", "nan", "inf", "1_000", "0x", "12 apples", "1e999", "٣", "9" * 101])
def test_a_text_that_is_no_number_is_none(text: str) -> None:
    assert read_number(text) is None
