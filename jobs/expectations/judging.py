"""Judge an answer by the entries of `expect`. Pure.

A judgement that stopped before it decided all entries, because the budget was used up or its process ended, is a
failure, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from jobs.expectations.answer import JudgedAnswer
from jobs.expectations.budget import JUDGEMENT_SECONDS, BudgetExceeded, JudgementBudget, current_budget, use_budget
from jobs.expectations.entries.dns import default_rcode_failure
from jobs.expectations.entries.status import default_status_failure
from jobs.expectations.entry import BRIEF_CEL_BYTES, ExpectationEntry
from jobs.formats import format_count
from jobs.redaction import Redact
from jobs.runs import Failure, Observation, Severity
from jobs.runs.details import HealthDetail

UNDECIDED_KEY = "judgement"
"""The key of this failure, in index of an entry's key."""


def undecided_failure(keys: Sequence[str], index: int, why: str) -> Failure:
    """Return the failure. `keys`: of all entries; `index`: index of the first undecided one; `why`: a clause."""
    count = len(keys)
    expected = f"a decision on {format_count(count, 'entry', 'entries')}"
    return Failure(UNDECIDED_KEY, expected, f"none {_describe_position(keys, index)}: {why}; {UNDECIDED_REMEDY}")


UNDECIDED_REMEDY = "simplify that entry, use fewer entries, or read less of the answer (read_limit)"


def describe_exceeded_budget(seconds: float) -> str:
    """Return the clause for a judgement that used up its budget."""
    return f"stopped after {seconds:.2g} s of CPU time"


def _describe_position(keys: Sequence[str], index: int) -> str:
    after = len(keys) - index - 1
    rest = f" and the {after} after it" if after > 0 else ""
    return f"on entry {index + 1} ({keys[index]}){rest}" if index < len(keys) else "on any"


def _redact_nothing(text: str, *, cut: bool = False) -> str:
    return text


def _ignore_entry(index: int) -> None:
    """Ignore which entry is judged next."""


def _ignore_health(health: HealthDetail) -> None:
    """Ignore the health document."""


def judge(
    observation: Observation,
    expectations: tuple[ExpectationEntry, ...],
    redact: Redact = _redact_nothing,
    on_entry_started: Callable[[int], None] = _ignore_entry,
    on_health_read: Callable[[HealthDetail], None] = _ignore_health,
) -> tuple[Failure, ...]:
    """Return a failure for each expectation that does not hold, in the order of the definition.

    Without an entry about it, a status must be a 2xx and the code of a DNS answer NOERROR, if the answer has one.
    `redact` removes secrets from texts, before they are shortened: a cut secret would not be recognised.
    `on_entry_started` gets the index of each entry before it is judged, `on_health_read` the health document that an
    entry has read; its texts are not redacted.

    All entries share one budget: that of the caller (budget.py), or JUDGEMENT_SECONDS. When it is used up, the last
    failure reports the undecided entries. If the budget is not final, BudgetExceeded is raised instead.
    """
    if not expectations and observation.status is not None:  # most jobs
        failure = default_status_failure(observation.status)
        return () if failure is None else (failure,)
    budget = current_budget()
    if budget is not None:
        return _judge_within(observation, expectations, redact, budget, on_entry_started, on_health_read)
    with use_budget(JudgementBudget(JUDGEMENT_SECONDS)) as own:
        return _judge_within(observation, expectations, redact, own, on_entry_started, on_health_read)


def is_brief(observation: Observation, expectations: tuple[ExpectationEntry, ...]) -> bool:
    """Whether the answer is small enough to decide each expectation within a few milliseconds."""
    size = len(observation.body)
    if size <= BRIEF_CEL_BYTES:
        return True
    return not any(entry.brief_bytes is not None and size > entry.brief_bytes for entry in expectations)


def _judge_within(
    observation: Observation,
    expectations: tuple[ExpectationEntry, ...],
    redact: Redact,
    budget: JudgementBudget,
    on_entry_started: Callable[[int], None],
    on_health_read: Callable[[HealthDetail], None],
) -> tuple[Failure, ...]:
    answer = JudgedAnswer(observation, redact)
    failures = tuple(_find_failures(answer, expectations, budget, on_entry_started))
    if answer.health is not None:
        on_health_read(answer.health)
    return failures


def _find_failures(
    answer: JudgedAnswer,
    expectations: tuple[ExpectationEntry, ...],
    budget: JudgementBudget,
    on_entry_started: Callable[[int], None],
) -> Iterator[Failure]:
    observation = answer.observation
    replaced = {entry.replaces for entry in expectations}
    if "status" not in replaced and (failure := default_status_failure(observation.status)) is not None:
        yield failure
    if "rcode" not in replaced and (failure := default_rcode_failure(observation)) is not None:
        yield failure
    for index, entry in enumerate(expectations):
        on_entry_started(index)
        try:
            budget.check()
            failure = entry.find_failure(answer)
        except BudgetExceeded:
            if not budget.is_final:
                raise
            keys = tuple(entry.entry_key() for entry in expectations)
            yield undecided_failure(keys, index, describe_exceeded_budget(budget.seconds))
            return
        if failure is not None:
            yield failure if entry.severity is Severity.FAIL else replace(failure, severity=entry.severity)
