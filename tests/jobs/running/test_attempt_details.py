"""The details that history keeps of an attempt: steps, TLS session, DNS records; few, short and without secrets."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.redaction import Redactor
from jobs.running.attempt_details import (
    MAX_CERTIFICATE_NAMES,
    MAX_DETAIL_NAME,
    MAX_DNS_RECORD,
    MAX_DNS_RECORDS,
    MAX_DNS_RECORDS_LENGTH,
    MAX_STEP_DETAILS,
    build_details,
)
from jobs.running.run_factories import build_attempt
from jobs.runs import ErrorClass, Failure, Observation, Phases, Severity
from jobs.runs.details import CertificateDetail, Details, DnsDetail, StepDetail, StepOutcome, TlsDetail
from tests.jobs.running.seen_certificates import NOON, certificate


def observed(facts: dict[str, Any], *certificates: bytes) -> Observation:
    return Observation(Phases(), 200, facts=facts, certificates=certificates)


def details(facts: dict[str, Any], *certificates: bytes, redactor: Redactor | None = None) -> Details | None:
    return build_details(observed(facts, *certificates), (redactor or Redactor()).redact)


def answered(*records: str, **more: Any) -> Details | None:
    return details({"rcode": "NOERROR", "answers": list(records), "ttl": 60, "server": "10.0.0.53"} | more)


def test_a_plain_answer_has_none() -> None:
    assert details({"http_version": "HTTP/1.1", "url": "http://a/", "redirects": 0}) is None


def test_a_tls_session_is_stored_with_its_certificate() -> None:
    found = details({"tls_version": "TLSv1.3"}, certificate("api.example", "www.example"))
    shown = CertificateDetail("api.example", "Example CA", ("api.example", "www.example"), 2, NOON)
    assert found == Details(tls=TlsDetail("TLSv1.3", shown))


@pytest.mark.parametrize(
    ("at", "days"),
    [
        (NOON - timedelta(days=30, hours=1), 30),
        (NOON - timedelta(hours=1), 0),
        (NOON + timedelta(hours=1), -1),
    ],
)
def test_the_days_left_of_a_certificate_are_whole_ones(at: datetime, days: int) -> None:
    assert CertificateDetail("a", "b", (), 0, NOON).days_left(at) == days


@pytest.mark.parametrize("certificates", [(), (b"not a certificate",)])
def test_a_session_without_a_readable_certificate_is_stored_without_one(certificates: tuple[bytes, ...]) -> None:
    assert details({"tls_version": "TLSv1.2"}, *certificates) == Details(tls=TlsDetail("TLSv1.2"))


def test_few_names_of_a_certificate_are_stored_and_all_are_counted() -> None:
    found = details({"tls_version": "TLSv1.3"}, certificate(*(f"host-{number}.example" for number in range(100))))
    assert found is not None
    assert found.tls is not None
    assert found.tls.certificate is not None
    assert (len(found.tls.certificate.names), found.tls.certificate.name_count) == (MAX_CERTIFICATE_NAMES, 100)


def test_long_names_of_a_certificate_are_fewer() -> None:
    names = tuple(f"{number}{'x' * 57}.example" for number in range(5))
    found = details({"tls_version": "TLSv1.3"}, certificate(*names))
    assert found is not None
    assert found.tls is not None
    assert found.tls.certificate is not None
    assert (found.tls.certificate.names, found.tls.certificate.name_count) == (names[:3], 5)


def test_a_long_name_is_shortened() -> None:
    found = details({"steps": [{"name": "x" * 300, "outcome": "succeeded", "status": 200, "ms": 1.0}]})
    assert found is not None
    assert found.steps[0].name == "x" * (MAX_DETAIL_NAME - 1) + "…"


def test_steps_are_stored_with_name_status_time_and_outcome() -> None:
    reported = [
        {"name": "sign in", "outcome": "succeeded", "status": 200, "ms": 12.3456},
        {"name": "order", "outcome": "timed_out", "status": None, "ms": 50.0, "error": "response_timeout"},
        {
            "name": "remove",
            "outcome": "failed",
            "status": 500,
            "ms": 3.0,
            "error": "unexpected_status",
            "cleanup": True,
        },
    ]
    found = details({"steps": reported})
    assert found is not None
    assert found.steps == (
        StepDetail("sign in", 200, 12.346),
        StepDetail("order", None, 50.0, StepOutcome.TIMED_OUT, "response_timeout"),
        StepDetail("remove", 500, 3.0, StepOutcome.FAILED, "unexpected_status", cleanup=True),
    )


def test_the_number_of_steps_is_limited() -> None:
    found = details({"steps": [{"name": "a", "outcome": "succeeded", "status": 200, "ms": 1.0}] * 1000})
    assert found is not None
    assert len(found.steps) == MAX_STEP_DETAILS


def test_a_deadline_before_the_first_step_leaves_no_details() -> None:
    assert details({"steps": []}) is None


def test_the_records_of_a_dns_answer_are_stored() -> None:
    found = answered("10.0.0.1", "10.0.0.2")
    assert found == Details(dns=DnsDetail("NOERROR", ("10.0.0.1", "10.0.0.2"), 2, 60, "10.0.0.53"))


def test_an_answer_without_records_retains_its_code() -> None:
    found = answered(rcode="NXDOMAIN", ttl=None)
    assert found == Details(dns=DnsDetail("NXDOMAIN", (), 0, None, "10.0.0.53"))


@given(st.lists(st.text(max_size=400), max_size=40))
def test_records_are_few_short_and_printable_and_all_are_counted(records: list[str]) -> None:
    found = answered(*records)
    assert found is not None
    assert found.dns is not None
    stored = found.dns.records
    assert found.dns.record_count == len(records)
    assert len(stored) <= MAX_DNS_RECORDS
    assert sum(map(len, stored)) <= MAX_DNS_RECORDS_LENGTH
    assert all(len(record) <= MAX_DNS_RECORD and record.isprintable() for record in stored)


@given(st.integers(0, 300))
def test_a_secret_is_accepted_out_wherever_a_record_is_cut(before: int) -> None:
    redactor = Redactor()
    redactor.add_permanent("s3cret-value-that-is-long")
    record = "x" * before + "s3cret-value-that-is-long"
    found = details({"rcode": "NOERROR", "answers": [record]}, redactor=redactor)
    assert "s3cr" not in repr(found)


def test_a_secret_is_accepted_out_of_steps_and_certificates() -> None:
    redactor = Redactor()
    redactor.add_permanent("hunter2.example")
    step = {"name": "ask hunter2.example", "outcome": "succeeded", "status": 200, "ms": 1.0}
    shown = certificate("hunter2.example", subject="hunter2.example")
    found = details({"tls_version": "TLSv1.3", "steps": [step]}, shown, redactor=redactor)
    assert found is not None
    assert "hunter2" not in repr(found)


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (None, ()),
        (ErrorClass.TLS_FAILURE, ()),
        (None, (Failure("status", "2xx", "500"),)),
        (None, (Failure("header x", "1", "2", Severity.DEGRADED),)),
    ],
)
def test_an_attempt_retains_its_details_however_it_ended(
    error: ErrorClass | None, failures: tuple[Failure, ...]
) -> None:
    observation = Observation(Phases(), 500, error=error, facts={"tls_version": "TLSv1.3"})
    attempt = build_attempt(1, NOON, observation, failures, Redactor())
    assert attempt.details == Details(tls=TlsDetail("TLSv1.3"))
