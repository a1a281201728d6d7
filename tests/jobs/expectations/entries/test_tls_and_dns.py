"""Entries about the connection, its certificate, the DNS, and how many."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.expectations import judge
from jobs.runs import Observation, Phases
from tests.jobs.expectations.helpers import answer, certificate, entries, failure, failures


def dns(rcode: str = "NOERROR", *answers: str) -> Observation:
    return Observation(Phases(total_ms=3.0), facts={"rcode": rcode, "answers": list(answers)})


@pytest.mark.parametrize(
    ("entry", "facts", "holds"),
    [
        ({"http_version": "HTTP/2"}, {"http_version": "HTTP/2"}, True),
        ({"http_version": "2.0"}, {"http_version": "HTTP/2"}, True),
        ({"http_version": ["1.1", "HTTP/2"]}, {"http_version": "HTTP/1.1"}, True),
        ({"http_version": "HTTP/3"}, {"http_version": "HTTP/1.1"}, False),
        ({"http_version": "HTTP/2"}, {}, False),
        ({"tls_version": "1.3"}, {"tls_version": "TLSv1.3"}, True),
        ({"tls_version": ["TLSv1.2", "TLSv1.3"]}, {"tls_version": "TLSv1.2"}, True),
        ({"tls_version": "TLSv1.3"}, {"tls_version": "TLSv1.2"}, False),
        ({"tls_version": "TLSv1.3"}, {}, False),
        ({"tls": "required"}, {"tls_version": "TLSv1.3"}, True),
        ({"tls": "required"}, {}, False),
        ({"tls": "absent"}, {}, True),
        ({"tls": "absent"}, {"tls_version": "TLSv1.3"}, False),
        ({"redirects": 1}, {"redirects": 1}, True),
        ({"redirects": {"at_most": 1}}, {"redirects": 2}, False),
        ({"redirects": 0}, {}, False),
        ({"fact": "remote_address", "like": "10.*"}, {"remote_address": "10.0.0.7"}, True),
        ({"fact": "values.order", "equals": 7}, {"values": {"order": 7}}, True),
        ({"fact": "values.order.id", "exists": False}, {"values": {"order": 7}}, True),
    ],
    ids=str,
)
def test_what_a_check_has_observed_is_judged(entry: dict[str, Any], facts: dict[str, Any], holds: bool) -> None:
    assert (failures(answer(facts=facts), entry) == ()) is holds


def test_a_certificate_that_ends_too_soon_is_reported_with_what_is_left() -> None:
    ends = datetime.now(UTC) + timedelta(days=9, hours=5, minutes=1)
    found = answer(certificates=(certificate(ends),))
    assert failures(found, {"certificate_valid_for": "9d"}) == ()
    reported = failure(found, {"certificate_valid_for": "14d"})
    assert (reported.expected, reported.observed) == ("at least 14d", f"9d 5h (until {ends:%Y-%m-%d %H:%M} UTC)")


@pytest.mark.parametrize(
    ("shown", "observed"),
    [
        ((), "no certificate"),
        ((b"nonsense",), "a certificate that cannot be read"),
        ((certificate(datetime(2020, 1, 2, tzinfo=UTC)),), "expired on 2020-01-02 00:00 UTC"),
    ],
    ids=["none", "unreadable", "ended"],
)
def test_a_certificate_that_is_none_or_over_does_not_hold(shown: tuple[bytes, ...], observed: str) -> None:
    assert failure(answer(certificates=shown), {"certificate_valid_for": "1h"}).observed == observed


@pytest.mark.parametrize(
    ("entry", "holds"),
    [
        ({"contains": "10.0.0.7"}, True),
        ({"contains": "10.0.0"}, False),
        ({"equals": ["10.0.0.8", "10.0.0.7"]}, True),
        ({"equals": "10.0.0.7"}, False),
        ({"not_equals": ["10.0.0.7"]}, True),
        ({"starts_with": "10."}, True),
        ({"like": "*.7"}, False),
        ({"one_of": ["10.0.0.7", "10.0.0.8", "10.0.0.9"]}, True),
        ({"length": 2}, True),
        ({"exists": True}, True),
    ],
    ids=str,
)
def test_answers_of_the_dns_are_compared(entry: dict[str, Any], holds: bool) -> None:
    assert (failures(dns("NOERROR", "10.0.0.7", "10.0.0.8"), {"answers": entry}) == ()) is holds


def test_an_error_of_the_dns_fails_unless_it_is_expected() -> None:
    (reported,) = judge(dns("NXDOMAIN"), ())
    assert str(reported) == "rcode: expected NOERROR, observed NXDOMAIN"
    assert failures(dns("NXDOMAIN"), {"rcode": "nxdomain"}) == ()
    assert failures(dns("NXDOMAIN"), {"answers": {"exists": False}}) == ()
    assert failures(dns("NOERROR"), {"answers": {"starts_with": "10."}}) != ()


def test_a_body_is_held_to_its_digest_and_its_sizes() -> None:
    pong = "6bf8db3fdb6ac01d3adc65b45d1f8fa0a7a46a3a2d0b3c4a3b1e8ff4e0c64d0f"
    found = answer("pong")
    assert failure(found, {"body_hash": {"sha256": pong}}).observed.startswith("sha256 ")
    assert failures(found, {"min_body": 4}, {"max_body": 4}) == ()
    assert failure(found, {"min_body": 5}).observed == "4 bytes"
    assert (
        "an incomplete body" in failure(answer("pong", body_truncated=True), {"body_hash": {"sha256": pong}}).observed
    )


def test_what_must_not_be_in_a_body_is_reported_with_where_it_is() -> None:
    assert failures(answer("all is well"), {"body_not_contains": "error"}, {"body_not_matches": "err|warn"}) == ()
    assert failure(answer("error 5"), {"body_not_contains": "error"}).observed == "'error 5'"
    assert failure(answer("x" * 300 + "error"), {"body_not_contains": "error"}).observed == "this text at character 300"
    assert failure(answer("error 5"), {"body_not_matches": r"\d"}).expected == r"no match of '\d'"


def test_a_status_that_must_not_be_wins_over_one_that_may() -> None:
    assert failures(answer(status=404), {"status": "200,404"}, {"status_not": "404,500-502"})
    assert failures(answer(status=302), {"status_not": "404,500-502"}) == ()


def test_what_is_only_degraded_is_reported_with_its_severity() -> None:
    unmet = judge(answer(total_ms=900), entries({"response_time_below": "1ms", "severity": "degraded"}))
    assert [one.severity for one in unmet] == ["degraded"]
