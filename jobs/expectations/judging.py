"""Judge an answer by the entries of `expect`, describe what does not hold, and fill placeholders in entries. Pure.

A judgement that stopped before it decided all entries, because the budget was used up or its process ended, is a
failure, too. A placeholder stands in a value that an entry compares with: `{json: $.id, equals: "${order}"}`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS, BudgetExceeded, JudgementBudget, current_budget, use_budget
from jobs.expectations.entries.body import BodyEntry
from jobs.expectations.entries.dns import default_rcode_failure
from jobs.expectations.entries.status import default_status_failure
from jobs.expectations.entry import BRIEF_CEL_BYTES, ExpectationEntry, JudgedAnswer, SparseModel
from jobs.expectations.health.document import HEALTH_KEY, ROWS_KEY
from jobs.formats import describe_seconds, format_count
from jobs.problems import make_printable
from jobs.redaction import Redact
from jobs.runs import ErrorClass, Failure, Observation, Severity
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


_STATUS_ENTRIES = ("status", "status_not")

_DECODED_ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
"""Content encodings that checks decode."""


_VERDICTS = (HEALTH_KEY, ROWS_KEY)
"""Failures whose observed value is a whole clause: it names the entries."""

MAX_LISTED_FAILURES = 50
"""Failures that a message lists, and that history stores of an attempt."""


def describe_unmet(observation: Observation, failures: Sequence[Failure]) -> tuple[ErrorClass, str]:
    """Return the error class and the message of an answer with failures."""
    # Failures that only degrade come last.
    failures = sorted(failures, key=_rank_of_failure)
    decisive = (failure for failure in failures if failure.severity is Severity.FAIL)
    status = next((failure for failure in decisive if failure.expectation in _STATUS_ENTRIES), None)
    if status is None and failures[0].expectation in _VERDICTS:
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
    is_about_status = failures[0].expectation == HEALTH_KEY
    if observation.status is None or 200 <= observation.status <= 299 or not is_about_status:
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
    if failures[0].expectation in _VERDICTS:
        return f"{_join_failures(failures)}."
    return f"Degraded: {_join_failures(failures)}."


def _rank_of_failure(failure: Failure) -> tuple[bool, bool]:
    return failure.severity is Severity.DEGRADED, failure.expectation not in _VERDICTS


def _describe_failure(failure: Failure) -> str:
    return failure.observed if failure.expectation in _VERDICTS else str(failure)


def _join_failures(failures: Sequence[Failure]) -> str:
    more = len(failures) - MAX_LISTED_FAILURES
    return "; ".join(
        [*map(_describe_failure, failures[:MAX_LISTED_FAILURES]), *([f"and {more} more"] if more > 0 else [])]
    )


E = TypeVar("E", bound=SparseModel)

_VALUES = frozenset({"equals", "not_equals", "contains", "not_contains", "one_of"})
"""Keys whose values are JSON values."""
_TEXTS = frozenset(
    {
        "starts_with",
        "not_starts_with",
        "ends_with",
        "not_ends_with",
        "like",
        "not_like",
        "body_contains",
        "body_not_contains",
    }
)


def compared_values(entry: ExpectationEntry) -> Iterator[Any]:
    """Yield the values that can contain placeholders."""
    part = _part(entry)
    yield from (getattr(part, name) for name in part.model_fields_set & (_VALUES | _TEXTS))


def fill_compared_values(
    entry: ExpectationEntry, of_text: Callable[[str], str], of_value: Callable[[Any], Any]
) -> ExpectationEntry:
    """Return a copy with these values replaced by the two functions. Raises ValidationError for unsuitable values."""
    if isinstance(entry, BodyEntry):
        return entry.model_copy(update={"body": _changed(entry.body, of_text, of_value)})
    return _changed(entry, of_text, of_value)


def _part(entry: ExpectationEntry) -> SparseModel:
    return entry.body if isinstance(entry, BodyEntry) else entry


def _changed(part: E, of_text: Callable[[str], str], of_value: Callable[[Any], Any]) -> E:
    changes: dict[str, Any] = {}
    for name in part.model_fields_set:
        if name in _VALUES:
            changes[name] = of_value(getattr(part, name))
        elif name in _TEXTS:
            changes[name] = of_text(getattr(part, name))
    return type(part).model_validate({**part.model_dump(by_alias=True), **changes}) if changes else part
