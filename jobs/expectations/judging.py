"""Judges an answer by the entries of `expect`. Called by jobs.judging.judgement and jobs.running.execution. Pure."""

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
    """Ignore which entry is judged next."""


def judge(
    observation: Observation,
    expectations: tuple[Entry, ...],
    redact: Redact = _unchanged,
    begins: Callable[[int], None] = _nothing,
) -> tuple[Failure, ...]:
    """Return a failure for each expectation that does not hold, in the order of the definition.

    Without an entry about it, a status must be a 2xx and the code of a DNS answer NOERROR, if the answer has one.
    `redact` removes secrets from texts, before they are shortened: a cut secret would not be recognised. `begins` gets
    the index of each entry before it is judged.

    All entries share one budget: that of the caller (budget.py), or JUDGEMENT_SECONDS. When it is used up, the last
    failure reports the undecided entries. If the budget is not final, OutOfTime is raised instead.
    """
    if not expectations and observation.status is not None:  # most jobs
        failure = not_a_success(observation.status)
        return () if failure is None else (failure,)
    budget = current()
    if budget is not None:
        return tuple(_failures(observation, expectations, redact, budget, begins))
    with limited(Budget(JUDGEMENT_SECONDS)) as own:
        return tuple(_failures(observation, expectations, redact, own, begins))


def is_brief(observation: Observation, expectations: tuple[Entry, ...]) -> bool:
    """Whether the answer is small enough to decide each expectation within a few milliseconds."""
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
