"""The judgement of a step's answer, and what the step saves of it, as one task. Made by steps.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from jobs.checks.errors import ExtractionError
from jobs.checks.saving import saved
from jobs.expectations.answer import Answer
from jobs.expectations.budget import OutOfTime, current
from jobs.expectations.entry import SEARCHED
from jobs.expectations.undecided import WHAT_TO_CHANGE, time_over
from jobs.judging import Begins, Judgement
from jobs.redaction import Redact
from jobs.runs import Failure, Severity
from jobs.targets.steps import FromBody, FromJson, Source


@dataclass(frozen=True, slots=True)
class Missing:
    """A value that cannot be saved, and why: a clause."""

    name: str
    why: str


@dataclass(frozen=True, slots=True)
class StepResult:
    """`values`: what is saved, up to the one that is missing. Nothing is saved of an answer that is not as expected."""

    failures: tuple[Failure, ...]
    values: dict[str, Any] = field(default_factory=dict)
    missing: Missing | None = None

    @property
    def hard(self) -> tuple[Failure, ...]:
        """The failures that end the attempt."""
        return tuple(failure for failure in self.failures if failure.severity is Severity.FAIL)


@dataclass(frozen=True, slots=True)
class StepJudgement:
    """See Task. `save`: name and source of each value that comes out of the answer itself; cookies do not."""

    judgement: Judgement
    save: tuple[tuple[str, Source], ...]

    @property
    def size(self) -> int:
        return self.judgement.size

    def is_brief(self) -> bool:
        looks_through = any(isinstance(source, (FromJson, FromBody)) for _, source in self.save)
        return self.judgement.is_brief() and not (looks_through and self.size > SEARCHED)

    def perform(self, redact: Redact, begins: Begins) -> StepResult:
        result = StepResult(self.judgement.perform(redact, begins))
        if result.hard:
            return result
        answer, values = Answer(self.judgement.seen, redact), result.values
        for place, (name, source) in enumerate(self.save, len(self.judgement.expect)):
            begins(place)
            try:
                values[name] = saved(source, answer)
            except ExtractionError as error:
                return StepResult(result.failures, values, Missing(name, str(error)))
            except OutOfTime:
                budget = current()
                if budget is None or not budget.is_final:
                    raise
                return StepResult(result.failures, values, Missing(name, _stopped(time_over(budget.seconds))))
        return result

    def pack(self, result: StepResult) -> Any:
        missing = None if result.missing is None else [result.missing.name, result.missing.why]
        return [self.judgement.pack(result.failures), result.values, missing]

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> StepResult:
        failures, values, missing = packed
        why = None if missing is None else Missing(missing[0], complete(missing[1]))
        return StepResult(self.judgement.unpack(failures, complete), values, why)

    def undecided(self, place: int, why: str) -> StepResult:
        entries = len(self.judgement.expect)
        if self.save and place >= entries:
            name, _ = self.save[min(place - entries, len(self.save) - 1)]
            return StepResult((), missing=Missing(name, _stopped(why)))
        return StepResult(self.judgement.undecided(place, why))


def _stopped(why: str) -> str:
    return (
        f"it was not decided: {why}; {WHAT_TO_CHANGE.replace('that entry, use fewer entries', 'its path or pattern')}"
    )
