from __future__ import annotations

import json
from typing import Any
from unittest.mock import patch

import pytest

from jobs.expectations import judge
from jobs.redaction import Redactor
from tests.jobs.expectations.helpers import answer, entries, failure, failures
from tests.parts.timing import computes_below


def test_nothing_is_wrong_with_a_plain_200() -> None:
    assert judge(answer(), ()) == ()


def test_every_failure_is_reported_in_the_order_of_the_definition() -> None:
    unmet = failures(answer("down", 503, 900), {"body_contains": "up"}, {"status": 200}, {"response_time_below": "1ms"})
    assert [one.expectation for one in unmet] == ["body_contains", "status", "response_time_below"]


# --- response time ---


@pytest.mark.parametrize(("took", "holds"), [(799.999, True), (800.0, False), (800.001, False)])
def test_a_response_time_must_be_below_the_limit(took: float, holds: bool) -> None:
    assert (failures(answer(total_ms=took), {"response_time_below": "800ms"}) == ()) is holds


@pytest.mark.parametrize(("took", "observed"), [(800.2, "800.2 ms"), (1234.56, "1235 ms")])
def test_a_response_time_is_reported_without_contradicting_the_verdict(took: float, observed: str) -> None:
    reported = failure(answer(total_ms=took), {"response_time_below": "800ms"})
    assert (reported.expected, reported.observed) == ("less than 800 ms", observed)


# --- body ---


def test_a_body_is_read_in_the_charset_of_its_content_type() -> None:
    found = answer("Grüße".encode("latin-1"), headers={"content-type": 'text/plain; charset="iso-8859-1"'})
    assert failures(found, {"body_contains": "Grüße"}) == ()


@pytest.mark.parametrize("charset", ["", "nonsense", "idna", "base64", "unicode_escape"])
def test_a_body_of_no_usable_charset_is_read_as_utf_8(charset: str) -> None:
    found = answer("Grüße", headers={"content-type": f"text/plain; charset={charset}"})
    assert failures(found, {"body_contains": "Grüße"}) == ()


def test_what_is_not_in_the_body_is_reported_with_the_beginning_of_the_body() -> None:
    reported = failure(answer("Bad gateway"), {"body_contains": "ready"})
    assert str(reported) == "body_contains: expected 'ready', observed 'Bad gateway'"


def test_an_empty_body_is_reported_as_such() -> None:
    assert failure(answer(), {"body_matches": "x"}).observed == "an empty body"


def test_a_body_that_was_not_read_whole_is_reported_as_such() -> None:
    reported = failure(answer("x" * 2048, body_truncated=True), {"body_contains": "ready"})
    assert reported.observed == "not in the first 2 KiB, where reading stopped (read_limit)"


def test_a_pattern_is_searched_anywhere_in_the_body() -> None:
    assert failures(answer("version v12 ready"), {"body_matches": r"v\d+\b"}) == ()
    assert failures(answer("version v12 ready"), {"body_matches": r"^v\d+"})


def test_a_pattern_that_backtracks_forever_is_abandoned_soon() -> None:
    with computes_below(1):
        reported = failure(answer("a" * 40 + "!"), {"body_matches": "^(a|aa)+$"})
    assert "simplify the pattern" in reported.observed


@pytest.mark.parametrize(("size", "holds"), [(1023, True), (1024, True), (1025, False)])
def test_a_body_may_be_as_large_as_the_limit(size: int, holds: bool) -> None:
    assert (failures(answer(b"x" * size), {"max_body": "1KiB"}) == ()) is holds


def test_a_body_that_is_too_large_is_reported_with_both_sizes() -> None:
    reported = failure(answer(b"x" * 1536), {"max_body": "1KiB"})
    assert (reported.expected, reported.observed) == ("at most 1 KiB", "1.5 KiB")


def test_a_body_that_was_cut_short_never_is_small_enough() -> None:
    reported = failure(answer(b"x" * 100, body_truncated=True), {"max_body": "1KiB"})
    assert reported.observed == "more than 100 bytes, where reading stopped (read_limit)"


# --- headers ---


@pytest.mark.parametrize(
    ("entry", "holds"),
    [
        ({"equals": "text/html; charset=utf-8"}, True),
        ({"equals": "text/html"}, False),
        ({"contains": "text/html"}, True),
        ({"contains": "TEXT"}, False),
        ({"matches": "^text/.*utf-8$"}, True),
        ({"matches": "^utf-8"}, False),
        ({"exists": True}, True),
        ({"exists": False}, False),
    ],
    ids=str,
)
def test_a_header_is_compared(entry: dict[str, object], holds: bool) -> None:
    found = answer(headers={"content-type": "text/html; charset=utf-8"})
    assert (failures(found, {"header": "Content-Type", **entry}) == ()) is holds


@pytest.mark.parametrize("entry", [{"equals": ""}, {"contains": ""}, {"matches": ""}, {"exists": True}], ids=str)
def test_a_missing_header_holds_nothing(entry: dict[str, object]) -> None:
    assert failure(answer(), {"header": "ETag", **entry}).observed == "no such header"


def test_a_header_that_must_not_be_there_is_reported_with_its_value() -> None:
    reported = failure(answer(headers={"server": "nginx/1.2"}), {"header": "Server", "exists": False})
    assert str(reported) == "header server: expected no such header, observed 'nginx/1.2'"


def test_a_pattern_that_backtracks_forever_is_abandoned_in_headers_too() -> None:
    reported = failure(answer(headers={"x": "a" * 40 + "!"}), {"header": "x", "matches": "^(a|aa)+$"})
    assert "simplify the pattern" in reported.observed


# --- what is shown ---


def test_a_long_value_is_shortened() -> None:
    reported = failure(answer("x" * 5000), {"body_contains": "ready"})
    assert len(reported.observed) < 130
    assert reported.observed.endswith("…'")


def test_control_characters_of_a_target_are_shown_escaped() -> None:
    reported = failure(answer("\x1b[2J\r\nall is well"), {"body_contains": "ready"})
    assert reported.observed == r"'\x1b[2J\r\nall is well'"


def test_secrets_are_accepted_out_before_a_value_is_cut() -> None:
    secret = "0123456789abcdef" * 20
    redactor = Redactor()
    redactor.add_permanent(secret)
    (reported,) = judge(answer("echo " + secret), entries({"body_contains": "ready"}), redactor.redact)
    assert reported.observed == "'echo ***'"


def test_a_body_is_parsed_once_however_many_entries_check_it() -> None:
    expect = entries({"json": "$.a", "equals": 1}, {"json": "$.b", "exists": False}, {"json": "$", "exists": True})
    with patch("jobs.expectations.entry.json.loads", wraps=json.loads) as loads:
        assert judge(answer('{"a": 1}'), expect) == ()
    assert loads.call_count == 1


@pytest.mark.parametrize("entry", [{"body": {"equals": "never"}}, {"body_matches": "never"}])
def test_a_body_whose_reading_stopped_within_a_secret_shows_none_of_it(entry: dict[str, Any]) -> None:
    redactor = Redactor()
    redactor.add_permanent("correct-horse-battery")
    reported = judge(answer("token: correct-horse", body_truncated=True), entries(entry), redactor.redact)
    assert reported
    assert "correct" not in str(reported)
