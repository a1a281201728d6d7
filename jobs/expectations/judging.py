"""The judgement of an answer. Pure; called by the runner once for each attempt that got one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from jobs.expectations.answer import Answer
from jobs.expectations.dns import not_resolved
from jobs.expectations.entry import Entry
from jobs.expectations.status import not_a_success
from jobs.redaction import Redact
from jobs.runs import Failure, Observation, Severity


def _unchanged(text: str, *, cut: bool = False) -> str:
    return text


def judge(
    observation: Observation, expectations: tuple[Entry, ...], redact: Redact = _unchanged
) -> tuple[Failure, ...]:
    """Every expectation that does not hold, in the order of the definition; empty when all do.

    Unless one of them is about it, a status must be a 2xx, and the code of a DNS answer NOERROR, if the answer has one
    at all. `redact` takes secrets out of a text; values pass through it before they are shortened, because half a
    secret is not recognised any more.
    """
    if not expectations and observation.status is not None:  # of most jobs
        failure = not_a_success(observation.status)
        return () if failure is None else (failure,)
    return tuple(_failures(observation, expectations, redact))


def _failures(observation: Observation, expectations: tuple[Entry, ...], redact: Redact) -> Iterator[Failure]:
    about = {entry.speaks_of for entry in expectations}
    if "status" not in about and (failure := not_a_success(observation.status)) is not None:
        yield failure
    if "rcode" not in about and (failure := not_resolved(observation)) is not None:
        yield failure
    answer = Answer(observation, redact)
    for entry in expectations:
        failure = entry.unmet(answer)
        if failure is not None:
            yield failure if entry.severity is Severity.FAIL else replace(failure, severity=entry.severity)
