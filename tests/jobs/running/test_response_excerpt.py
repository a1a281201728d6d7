"""What history keeps of an answer that failed an attempt."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.redaction import Redactor
from jobs.running.attempt_details import extract_excerpt
from jobs.running.run_factories import build_attempt
from jobs.runs import Attempt, ErrorClass, Failure, Observation, Phases, Severity

NOON = datetime(2031, 1, 1, 12, tzinfo=UTC)


def observed(body: bytes, content_type: str = "", **more: object) -> Observation:
    return Observation(Phases(), 503, headers={"content-type": content_type}, body=body, **more)  # type: ignore[arg-type]


def stored(body: bytes, limit: int = 2048, content_type: str = "", redactor: Redactor | None = None) -> str:
    return extract_excerpt(observed(body, content_type), limit, (redactor or Redactor()).redact)


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b'{"status": "down"}', "", '{"status": "down"}'),
        ("grüß".encode("latin-1"), "text/plain; charset=latin-1", "grüß"),
        (b"a\r\n\tb\n", "", "a\n\tb\n"),
        (b"\x1b[31mred\x00", "", "\\x1b[31mred\\x00"),
        (b"\xff", "", "\ufffd"),
    ],
)
def test_a_body_is_stored_as_text_that_people_can_check(body: bytes, content_type: str, text: str) -> None:
    assert stored(body, content_type=content_type) == text


@given(st.binary(max_size=300), st.integers(0, 100))
def test_no_more_is_stored_than_may_be(body: bytes, limit: int) -> None:
    assert len(stored(body, limit).encode()) <= limit


@given(st.integers(0, 60))
def test_a_secret_is_accepted_out_wherever_the_cut_is(limit: int) -> None:
    redactor = Redactor()
    redactor.add_permanent("s3cret-value-that-is-long")
    assert "s3cr" not in stored(b"the key is s3cret-value-that-is-long, keep it", limit, redactor=redactor)


def attempt(observation: Observation, *failures: Failure) -> Attempt:
    return build_attempt(1, NOON, observation, failures, Redactor(), 2048)


def test_the_body_stays_with_an_attempt_that_the_answer_failed() -> None:
    assert attempt(observed(b"down"), Failure("status", "2xx", "503")).body == "down"


@pytest.mark.parametrize(
    "made",
    [
        attempt(observed(b"well")),
        attempt(observed(b"slow"), Failure("status", "2xx", "503", Severity.DEGRADED)),
        attempt(observed(b"half", error=ErrorClass.PROTOCOL_ERROR)),
    ],
    ids=["succeeded", "degraded", "no complete response"],
)
def test_no_body_is_stored_where_the_answer_did_not_fail_the_attempt(made: Attempt) -> None:
    assert made.body == ""


def test_a_body_whose_reading_stopped_within_a_secret_shows_none_of_it() -> None:
    redactor = Redactor()
    redactor.add_permanent("correct-horse-battery")
    cut = observed(b'{"token": "correct-horse', body_truncated=True)
    assert extract_excerpt(cut, 2048, redactor.redact) == '{"token": "***'


def test_a_body_that_is_mostly_secrets_shows_none_at_its_end() -> None:
    secret = "s" + "0123456789" * 100
    redactor = Redactor()
    redactor.add_permanent(secret)
    assert set(stored((secret + " ").encode() * 20, limit=100, redactor=redactor)) <= set("* ")
