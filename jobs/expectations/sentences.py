"""What is said of an answer that was not as expected: one sentence an operator understands. Pure.

Called by jobs.running.verdicts, and by the check of several steps for each of them.
"""

from __future__ import annotations

from collections.abc import Sequence

from jobs.durations import seconds_text
from jobs.problems import printable
from jobs.runs import ErrorClass, Failure, Observation, Severity

_OF_STATUS = ("status", "status_not")

_READ = ("", "identity", "gzip", "x-gzip", "deflate")
"""Encodings of bodies that checks unpack."""


MOST_FAILURES = 50
"""Failures that a sentence repeats, and that history keeps of an attempt."""


def unmet(observation: Observation, failures: Sequence[Failure]) -> tuple[ErrorClass, str]:
    """The error class and the sentence of an answer that was not as expected."""
    # What decides comes first, what would only have been degraded after it.
    failures = sorted(failures, key=lambda failure: failure.severity is Severity.DEGRADED)
    decisive = (failure for failure in failures if failure.severity is Severity.FAIL)
    status = next((failure for failure in decisive if failure.expectation in _OF_STATUS), None)
    if status is None or observation.status is None:
        of_dns = any(failure.expectation == "rcode" and failure.severity is Severity.FAIL for failure in failures)
        error = ErrorClass.DNS_ANSWER if of_dns else ErrorClass.EXPECTATION_FAILED
        return error, f"Not as expected: {_joined(failures)}.{_unread(observation, failures)}"
    # The reason is the target's text: a terminal must not act upon it.
    answered = f"Answered {observation.status} {printable(observation.reason)}".rstrip()
    sentence = f"{answered}, expected {status.expected}"
    others = [failure for failure in failures if failure is not status]
    if observation.retry_after_s is not None:
        sentence += f", and asked to wait {seconds_text(observation.retry_after_s)} (Retry-After)"
    told = f"; also {_joined(others)}.{_unread(observation, others)}" if others else "."
    return ErrorClass.UNEXPECTED_STATUS, sentence + told


def _unread(observation: Observation, failures: Sequence[Failure]) -> str:
    """Why an expectation of the body cannot hold: it is in an encoding that nobody has asked for."""
    encoding = observation.headers.get("content-encoding", "").strip()
    of_body = any(failure.expectation.startswith(("body", "json")) for failure in failures)
    if not of_body or encoding.lower() in _READ:
        return ""
    return (
        f" The body is encoded as {printable(encoding, 40)}, which is not unpacked: have it sent as gzip, or as it is."
    )


def degraded(failures: Sequence[Failure]) -> str:
    """The sentence of an answer that is good enough, and not as good as it should be."""
    return f"Degraded: {_joined(failures)}."


def _joined(failures: Sequence[Failure]) -> str:
    more = len(failures) - MOST_FAILURES
    return "; ".join([*map(str, failures[:MOST_FAILURES]), *([f"and {more} more"] if more > 0 else [])])
