"""Judge a step's response and extract the values that it saves, as one task. Made by step_sequence.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from jobs.checks.errors import ExtractionError
from jobs.checks.kinds.step_extraction import extract_value
from jobs.expectations.answer import JudgedAnswer
from jobs.expectations.budget import BudgetExceeded, current_budget
from jobs.expectations.entry import BRIEF_SEARCH_BYTES
from jobs.expectations.undecided import UNDECIDED_REMEDY, describe_exceeded_budget
from jobs.judging import ExpectationVerdict, Judgement, OnPartStarted
from jobs.redaction import Redact
from jobs.runs import Failure, Severity
from jobs.runs.details import HealthDetail
from jobs.targets.steps import BodySource, JsonSource, ValueSource


@dataclass(frozen=True, slots=True)
class MissingValue:
    """A value that cannot be saved, and the reason: a clause."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class StepResult:
    """`values`: what is saved, up to the missing one. Nothing is saved of an unexpected response. `health`: see
    ExpectationVerdict."""

    failures: tuple[Failure, ...]
    values: dict[str, Any] = field(default_factory=dict)
    missing: MissingValue | None = None
    health: HealthDetail | None = None

    @property
    def blocking_failures(self) -> tuple[Failure, ...]:
        """The failures that end the attempt."""
        return tuple(failure for failure in self.failures if failure.severity is Severity.FAIL)


@dataclass(frozen=True, slots=True)
class StepJudgement:
    """See jobs.judging.port.

    `save`: name and source of each value of the response itself; cookies are not among them.
    """

    judgement: Judgement
    save: tuple[tuple[str, ValueSource], ...]

    @property
    def size(self) -> int:
        return self.judgement.size

    def is_brief(self) -> bool:
        looks_through = any(isinstance(source, (JsonSource, BodySource)) for _, source in self.save)
        return self.judgement.is_brief() and not (looks_through and self.size > BRIEF_SEARCH_BYTES)

    def perform(self, redact: Redact, on_part_started: OnPartStarted) -> StepResult:
        verdict = self.judgement.perform(redact, on_part_started)
        result = StepResult(verdict.failures, health=verdict.health)
        if result.blocking_failures:
            return result
        answer, values = JudgedAnswer(self.judgement.observation, redact), result.values
        for place, (name, source) in enumerate(self.save, len(self.judgement.expect)):
            on_part_started(place)
            try:
                values[name] = extract_value(source, answer)
            except ExtractionError as error:
                return replace(result, missing=MissingValue(name, str(error)))
            except BudgetExceeded:
                budget = current_budget()
                if budget is None or not budget.is_final:
                    raise
                return replace(result, missing=MissingValue(name, _stopped(describe_exceeded_budget(budget.seconds))))
        return result

    def pack(self, result: StepResult) -> Any:
        missing = None if result.missing is None else [result.missing.name, result.missing.reason]
        return [self.judgement.pack(ExpectationVerdict(result.failures, result.health)), result.values, missing]

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> StepResult:
        judged, values, missing = packed
        verdict = self.judgement.unpack(judged, complete)
        why = None if missing is None else MissingValue(missing[0], complete(missing[1]))
        return StepResult(verdict.failures, values, why, verdict.health)

    def undecided(self, place: int, why: str) -> StepResult:
        entries = len(self.judgement.expect)
        if self.save and place >= entries:
            name, _ = self.save[min(place - entries, len(self.save) - 1)]
            return StepResult((), missing=MissingValue(name, _stopped(why)))
        return StepResult(self.judgement.undecided(place, why).failures)


def _stopped(why: str) -> str:
    return (
        f"it was not decided: {why}; {UNDECIDED_REMEDY.replace('that entry, use fewer entries', 'its path or pattern')}"
    )
