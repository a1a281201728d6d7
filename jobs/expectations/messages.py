"""Messages about answers whose expectations do not hold. Pure.

Called by jobs.running.run_factories, and by jobs.checks.kinds.step_sequence for each step.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.expectations.health.verdicts import HEALTH_KEY
from jobs.formats import describe_seconds
from jobs.problems import make_printable
from jobs.runs import ErrorClass, Failure, Observation, Severity

_STATUS_ENTRIES = ("status", "status_not")

_DECODED_ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""Content encodings that checks decode."""


MAX_LISTED_FAILURES = 50
"""Failures that a message lists, and that history stores of an attempt."""


def describe_unmet(observation: Observation, failures: Sequence[Failure]) -> tuple[ErrorClass, str]:
    """Return the error class and the message of an answer with failures."""
    # Failures that only degrade come last.
    failures = sorted(failures, key=_rank_of_failure)
    decisive = (failure for failure in failures if failure.severity is Severity.FAIL)
    status = next((failure for failure in decisive if failure.expectation in _STATUS_ENTRIES), None)
    if status is None and failures[0].expectation == HEALTH_KEY:
        return _describe_health(observation, failures)
    if status is None or observation.status is None:
        of_dns = any(failure.expectation == "rcode" and failure.severity is Severity.FAIL for failure in failures)
        error = ErrorClass.DNS_ANSWER if of_dns else ErrorClass.EXPECTATION_FAILED
        return error, f"Not as expected: {_join_failures(failures)}.{_explain_encoding(observation, failures)}"
    sentence = f"{_describe_status(observation)}, expected {status.expected}"
    others = [failure for failure in failures if failure is not status]
    ending = f"; also {_join_failures(others)}.{_explain_encoding(observation, others)}" if others else "."
    return ErrorClass.UNEXPECTED_STATUS, sentence + ending


def _describe_health(observation: Observation, failures: Sequence[Failure]) -> tuple[ErrorClass, str]:
    """Describe an answer by its health document, which is the first failure: its entries say more than its status."""
    said = _join_failures(failures)
    if observation.status is None or 200 <= observation.status <= 299:
        return ErrorClass.EXPECTATION_FAILED, f"{said}."
    return ErrorClass.UNEXPECTED_STATUS, f"{_describe_status(observation)}: {said}."


def _describe_status(observation: Observation) -> str:
    # The reason is a text of the target: escape control characters.
    answered = f"Answered {observation.status} {make_printable(observation.reason)}".rstrip()
    if observation.retry_after_s is not None:
        answered += f" (Retry-After: {describe_seconds(observation.retry_after_s)})"
    return answered


def _explain_encoding(observation: Observation, failures: Sequence[Failure]) -> str:
    """Explain failures of a body whose content encoding the check did not request."""
    encoding = observation.headers.get("content-encoding", "").strip()
    of_body = any(failure.expectation.startswith(("body", "json")) for failure in failures)
    if not of_body or encoding.lower() in _DECODED_ENCODINGS:
        return ""
    shown = make_printable(encoding, 40)
    return f" The body has the content encoding {shown}, which is not supported: send gzip or identity."


def describe_degraded(failures: Sequence[Failure]) -> str:
    """Return the message of an answer whose failures only degrade it."""
    if failures[0].expectation == HEALTH_KEY:
        return f"{_join_failures(failures)}."
    return f"Degraded: {_join_failures(failures)}."


def _rank_of_failure(failure: Failure) -> tuple[bool, bool]:
    return failure.severity is Severity.DEGRADED, failure.expectation != HEALTH_KEY


def _describe_failure(failure: Failure) -> str:
    return failure.observed if failure.expectation == HEALTH_KEY else str(failure)


def _join_failures(failures: Sequence[Failure]) -> str:
    more = len(failures) - MAX_LISTED_FAILURES
    return "; ".join(
        [*map(_describe_failure, failures[:MAX_LISTED_FAILURES]), *([f"and {more} more"] if more > 0 else [])]
    )
