"""Entries about the answer of a name server."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, StringConstraints

from jobs.expectations.comparisons import Comparison
from jobs.expectations.entry import ExpectationEntry, Feature, JudgedAnswer, is_json_equal
from jobs.runs import Failure, Observation

_OF_ALL = frozenset({"equals", "not_equals", "contains", "not_contains", "length", "exists"})
"""Comparisons with all answers together; every other one is with each answer."""


class _AnswersComparison(Comparison):
    """`equals` compares with a list in any order or the only answer, `contains` with one of the answers."""

    def holds(self, value: Any) -> bool:
        operand = self._operand
        if self._name in ("equals", "not_equals"):
            operand = operand if isinstance(operand, list) else [operand]
            equal = is_json_equal(sorted(map(str, value)), sorted(map(str, operand)))
            return equal is (self._name == "equals")
        return super().holds(value)

    def holds_for_answers(self, answers: list[Any]) -> bool:
        """Raises LimitExceeded."""
        if self.is_existence_check:
            return bool(answers) is self._operand
        return self.holds(answers) if self._name in _OF_ALL else self.holds_for_all(answers)


class AnswersEntry(ExpectationEntry):
    """The comparison holds for the answers: `{answers: {contains: 10.0.0.7}}`, `{answers: {like: "10.*"}}`."""

    needs: ClassVar = Feature.DNS_ANSWER
    REPLACES: ClassVar = "rcode"

    answers: _AnswersComparison

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return self.answers.describe_expected(answer)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        answers = list(answer.observation.facts.get("answers") or [])
        if self.answers.holds_for_answers(answers):
            return None
        return answer.format_json(answers) if answers else "no answers"


def _split_codes(value: Any) -> Any:
    return value.upper().replace(",", " ").split() if isinstance(value, str) else value


_Rcode = Annotated[str, StringConstraints(to_upper=True, pattern=r"^[A-Z0-9]{1,20}$")]


class RcodeEntry(ExpectationEntry):
    """The code of the DNS answer is one of these: `NOERROR`, or `[NOERROR, NXDOMAIN]`."""

    needs: ClassVar = Feature.DNS_ANSWER
    REPLACES: ClassVar = "rcode"

    rcode: Annotated[
        tuple[_Rcode, ...],
        BeforeValidator(
            _split_codes,
            json_schema_input_type=Annotated[str, Field(pattern=r"^[\sA-Za-z0-9,]+$")] | tuple[_Rcode, ...],
        ),
        Field(min_length=1, max_length=20, description="such as NXDOMAIN"),
    ]

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return " or ".join(self.rcode)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        rcode = answer.observation.facts.get("rcode")
        return None if rcode in self.rcode else str(rcode or "unknown")


def default_rcode_failure(observation: Observation) -> Failure | None:
    """Return the failure of a DNS answer with an error code; None also for other kinds of check."""
    rcode = observation.facts.get("rcode", "NOERROR")
    return None if rcode == "NOERROR" else Failure("rcode", "NOERROR", str(rcode))
