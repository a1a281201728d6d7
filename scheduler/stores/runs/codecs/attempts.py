"""The attempts of a run as parts of its stored text and back. Used by runs.codec."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from jobs.runs import Attempt, Failure, Phases, Run, Severity
from scheduler.stores.runs.codecs.details import decode_details, encode_details
from scheduler.stores.runs.codecs.values import from_microseconds, read_error, round_ms, to_microseconds


def encode_attempt(attempt: Attempt, run: Run) -> dict[str, Any]:
    """Omit what it has in common with its run or the last attempt: most attempts fail alike."""
    phases, last = attempt.phases, run.attempts[-1]
    body: dict[str, Any] = {
        "at": to_microseconds(attempt.started_at),
        "ms": [
            round_ms(phases.dns_ms),
            round_ms(phases.connect_ms),
            round_ms(phases.tls_ms),
            round_ms(phases.first_byte_ms),
            round(phases.total_ms, 3),
        ],
    }
    if attempt.status is not None:
        body["status"] = attempt.status
    if attempt.error is not None:
        body["error"] = attempt.error.value
    if attempt.message and run.message.startswith(attempt.message):
        body["said"] = len(attempt.message)
    elif attempt.message:
        body["message"] = attempt.message
    if attempt is not last and attempt.failures and _have_same_failure(attempt, last):
        body["like_last"] = 1
    elif attempt.failures:
        body["failures"] = [_failure_parts(failure) for failure in attempt.failures]
    if attempt.wait_ms is not None:
        body["wait"] = round(attempt.wait_ms, 3)
    if attempt.body and "like_last" not in body:
        body["body"] = attempt.body
    if attempt.details is not None:
        body |= encode_details(attempt.details)
    return body


def _have_same_failure(one: Attempt, other: Attempt) -> bool:
    return (one.failures, one.body) == (other.failures, other.body)


def _failure_parts(failure: Failure) -> list[str]:
    parts = [failure.expectation, failure.expected, failure.observed]
    return parts if failure.severity is Severity.FAIL else [*parts, failure.severity.value]


def _read_failure(parts: Sequence[str]) -> Failure:
    expectation, expected, observed, *rest = parts
    return Failure(expectation, expected, observed, Severity.DEGRADED if rest[:1] == ["degraded"] else Severity.FAIL)


def decode_attempt(number: int, body: Mapping[str, Any], last: Mapping[str, Any], message: str) -> Attempt:
    """`message`: the run's."""
    failed = last if body.get("like_last") else body
    return Attempt(
        number=number,
        started_at=from_microseconds(body["at"]),
        phases=Phases(*body["ms"][:5]),
        status=body.get("status"),
        error=read_error(body.get("error")),
        message=message[: body["said"]] if "said" in body else body.get("message", ""),
        failures=tuple(map(_read_failure, failed.get("failures", ()))),
        wait_ms=body.get("wait"),
        body=failed.get("body", ""),
        details=decode_details(body),
    )
