"""What differs between two runs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jobs.runs import Attempt, ErrorClass, Outcome, Phases, Run
from jobs.runs.details import (
    CertificateDetail,
    Details,
    DnsDetail,
    EntryStatus,
    HealthDetail,
    ReportedEntry,
    StepDetail,
    StepOutcome,
    TlsDetail,
)
from scheduler.features.runs.comparison import compare_runs
from tests.scheduler.stores.samples import NOON, run_of, ticket

GOOD = run_of(ticket())
CERTIFICATE = CertificateDetail("a.example", "R11", ("a.example",), 1, NOON + timedelta(days=30))
ENTRY = ReportedEntry("db", EntryStatus.UP, "Healthy")


def good(**of_attempt: Any) -> Run:
    return replace(GOOD, attempts=(replace(GOOD.attempts[0], **of_attempt),))


def bad(**of_attempt: Any) -> Run:
    """A run that differs from `GOOD` in its attempt only."""
    return good(**of_attempt)


def differences(run: Run, other: Run = GOOD) -> list[tuple[str, str, str, str]]:
    return [(each.name, each.this, each.other, each.note) for each in compare_runs(run, other) if each.is_different]


def phases(**more: float | None) -> Phases:
    return replace(GOOD.attempts[0].phases, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("run", "other", "expected"),
    [
        (GOOD, GOOD, []),
        (bad(status=503), GOOD, [("Status", "503", "200", "")]),
        (replace(GOOD, outcome=Outcome.TIMED_OUT), GOOD, [("Outcome", "timed out", "succeeded", "")]),
        (replace(GOOD, error=ErrorClass.UNEXPECTED_STATUS), GOOD, [("Error", "unexpected status", "", "")]),
        (replace(GOOD, generation="b" * 12), GOOD, [("Definition", "b" * 12, "abcdef123456", "")]),
        (replace(GOOD, endpoint="https://b"), GOOD, [("Target", "https://b", GOOD.endpoint, "")]),
        (bad(phases=phases(total_ms=96.0)), GOOD, [("Response time", "96 ms", "32 ms", "3.0 times as long")]),
        (bad(phases=phases(total_ms=40.0)), GOOD, []),
        (bad(phases=phases(dns_ms=2.0)), GOOD, []),
        (bad(phases=phases(first_byte_ms=2.0)), GOOD, [("First byte", "2 ms", "30 ms", "15 times shorter")]),
        (bad(phases=phases(first_byte_ms=None)), GOOD, [("First byte", "", "30 ms", "")]),
        (
            bad(details=Details(tls=TlsDetail("TLSv1.3", replace(CERTIFICATE, issuer="R12")))),
            good(details=Details(tls=TlsDetail("TLSv1.3", CERTIFICATE))),
            [("Certificate from", "R12", "R11", "")],
        ),
        (bad(), good(details=Details(tls=TlsDetail("TLSv1.3", CERTIFICATE))), []),
        (
            bad(details=Details(dns=DnsDetail("NOERROR", ("10.0.0.2",), 1, 60, "10.0.0.53"))),
            good(details=Details(dns=DnsDetail("NOERROR", ("10.0.0.1",), 1, 60, "10.0.0.53"))),
            [("Addresses", "10.0.0.2", "10.0.0.1", "")],
        ),
        (
            bad(details=Details(steps=(StepDetail("login", 500, 3.0, StepOutcome.FAILED, "unexpected_status"),))),
            good(details=Details(steps=(StepDetail("login", 200, 3.0), StepDetail("pay", 200, 3.0)))),
            [
                ("Step login", "failed, 500, unexpected status", "succeeded, 200", ""),
                ("Step pay", "", "succeeded, 200", ""),
            ],
        ),
        (
            bad(details=Details(health=HealthDetail("Healthy", EntryStatus.UP, (replace(ENTRY, word="Slow"),), 1))),
            good(details=Details(health=HealthDetail("Healthy", EntryStatus.UP, (ENTRY,), 1))),
            [("Entry db", "Slow", "Healthy", "")],
        ),
    ],
)
def test_what_differs_is_found(run: Run, other: Run, expected: list[tuple[str, str, str, str]]) -> None:
    assert differences(run, other) == expected


def test_what_differs_precedes_what_is_the_same() -> None:
    found = compare_runs(bad(status=503), GOOD)
    assert [each.is_different for each in found] == sorted((each.is_different for each in found), reverse=True)
    assert ("Outcome", "succeeded") in [(each.name, each.this) for each in found]


def test_a_run_without_attempts_is_compared() -> None:
    rejected = replace(GOOD, outcome=Outcome.REJECTED, attempts=())
    assert ("Attempts", "0", "1", "") in differences(rejected)


def test_the_last_attempts_are_compared() -> None:
    first: Attempt = replace(GOOD.attempts[0], status=503)
    assert differences(replace(GOOD, attempts=(first, GOOD.attempts[0]))) == [("Attempts", "2", "1", "")]
