"""The judgement of an answer. Pure; called by the runner once for each attempt that got one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from jobs.expectations.answer import Answer
from jobs.expectations.budget import JUDGEMENT_SECONDS, Budget, OutOfTime, current, limited
from jobs.expectations.dns import not_resolved
from jobs.expectations.entry import CONVERTED, Entry
from jobs.expectations.fitting import key_of
from jobs.expectations.status import not_a_success
from jobs.expectations.undecided import time_over, undecided
from jobs.redaction import Redact
from jobs.runs import Failure, Observation, Severity


def _unchanged(text: str, *, cut: bool = False) -> str:
    return text


def _nothing(place: int) -> None:
    """Nobody wants to know which entry it is."""


def judge(
    observation: Observation,
    expectations: tuple[Entry, ...],
    redact: Redact = _unchanged,
    begins: Callable[[int], None] = _nothing,
) -> tuple[Failure, ...]:
    """Every expectation that does not hold, in the order of the definition; empty when all do.

    Unless one of them is about it, a status must be a 2xx, and the code of a DNS answer NOERROR, if the answer has one
    at all. `redact` takes secrets out of a text; values pass through it before they are shortened, because half a
    secret is not recognised any more. `begins` is called with the place of each entry before it is looked at.

    All entries share one budget: that of the caller (see budget.py), or JUDGEMENT_SECONDS. Where it is over, the rest
    is not decided, and the last failure says so. Raises OutOfTime instead if the caller's budget is not final.
    """
    if not expectations and observation.status is not None:  # of most jobs
        failure = not_a_success(observation.status)
        return () if failure is None else (failure,)
    budget = current()
    if budget is not None:
        return tuple(_failures(observation, expectations, redact, budget, begins))
    with limited(Budget(JUDGEMENT_SECONDS)) as own:
        return tuple(_failures(observation, expectations, redact, own, begins))


def is_brief(observation: Observation, expectations: tuple[Entry, ...]) -> bool:
    """Whether the answer is small enough for each of the expectations to be decided within a few milliseconds."""
    size = len(observation.body)
    if size <= CONVERTED:
        return True
    return not any(entry.largest_at_once is not None and size > entry.largest_at_once for entry in expectations)


def _failures(
    observation: Observation,
    expectations: tuple[Entry, ...],
    redact: Redact,
    budget: Budget,
    begins: Callable[[int], None],
) -> Iterator[Failure]:
    about = {entry.speaks_of for entry in expectations}
    if "status" not in about and (failure := not_a_success(observation.status)) is not None:
        yield failure
    if "rcode" not in about and (failure := not_resolved(observation)) is not None:
        yield failure
    answer = Answer(observation, redact)
    for place, entry in enumerate(expectations):
        begins(place)
        try:
            budget.check()
            failure = entry.unmet(answer)
        except OutOfTime:
            if not budget.is_final:
                raise
            yield undecided(tuple(map(key_of, expectations)), place, time_over(budget.seconds))
            return
        if failure is not None:
            yield failure if entry.severity is Severity.FAIL else replace(failure, severity=entry.severity)
