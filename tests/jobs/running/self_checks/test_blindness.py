"""Which failures the scheduler itself causes, by the results of its references."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.running.network_self_check import ReferenceResult, find_blindness
from jobs.runs import ErrorClass

OK = ReferenceResult("https://a.example", None)
NO_NAME = ReferenceResult("https://a.example", ErrorClass.DNS_TIMEOUT)
NO_WAY = ReferenceResult("https://b.example", ErrorClass.CONNECT_TIMEOUT)
BROKEN = ReferenceResult("https://b.example", ErrorClass.INTERNAL_ERROR)


@pytest.mark.parametrize(
    ("error", "results"),
    [
        (ErrorClass.DNS_TIMEOUT, [NO_NAME, NO_NAME]),
        (ErrorClass.DNS_FAILURE, [NO_NAME]),
        (ErrorClass.DNS_FAILURE, [NO_NAME, NO_WAY]),
        (ErrorClass.CONNECT_TIMEOUT, [NO_NAME, NO_WAY]),
        (ErrorClass.CONNECTION_REFUSED, [NO_WAY]),
        (ErrorClass.RUN_TIMEOUT, [NO_WAY]),
    ],
)
def test_a_scheduler_that_reaches_no_reference_is_blind(error: ErrorClass, results: list[ReferenceResult]) -> None:
    cause = find_blindness(error, results)
    assert cause is not None
    assert cause.startswith("the scheduler cannot ")


@pytest.mark.parametrize(
    ("error", "results"),
    [
        (ErrorClass.CONNECT_TIMEOUT, []),
        (ErrorClass.CONNECT_TIMEOUT, [NO_WAY, OK]),
        (ErrorClass.CONNECT_TIMEOUT, [NO_WAY, BROKEN]),
        (ErrorClass.DNS_FAILURE, [NO_NAME, OK]),
        (ErrorClass.UNEXPECTED_STATUS, [NO_WAY]),
        (ErrorClass.EXPECTATION_FAILED, [NO_NAME]),
        (ErrorClass.HEARTBEAT_MISSING, [NO_WAY]),
        (ErrorClass.TARGET_DENIED, [NO_WAY]),
        (ErrorClass.TLS_CERTIFICATE, [NO_WAY]),
    ],
)
def test_any_other_failure_is_that_of_the_target(error: ErrorClass, results: list[ReferenceResult]) -> None:
    assert find_blindness(error, results) is None


def clocks(*minutes: float) -> list[ReferenceResult]:
    return [ReferenceResult(f"r{number}", None, "", timedelta(minutes=each)) for number, each in enumerate(minutes)]


def test_a_wrong_clock_explains_rejected_certificates() -> None:
    assert (
        find_blindness(ErrorClass.TLS_CERTIFICATE, clocks(-10))
        == "the clock of the scheduler is 600 s behind that of r0"
    )
    assert find_blindness(ErrorClass.TLS_CERTIFICATE, clocks(10, 11, 0)) == (
        "the clock of the scheduler is 600 s ahead of that of r0, r1, r2"
    )


def test_a_clock_that_most_references_confirm_explains_nothing() -> None:
    assert find_blindness(ErrorClass.TLS_CERTIFICATE, clocks(0, 0.5, -30)) is None
    assert find_blindness(ErrorClass.TLS_CERTIFICATE, [OK]) is None
