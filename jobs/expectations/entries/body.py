"""Entries about the body as text."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from jobs.expectations.answer import MOST_SHOWN_CHARACTERS, JudgedAnswer
from jobs.expectations.comparisons import Comparison
from jobs.expectations.engines.regular_expressions import LimitExceeded, NonEmptyPatternField, search
from jobs.expectations.entry import BRIEF_SEARCH_BYTES, BRIEF_TEXT_BYTES, ExpectationEntry
from jobs.expectations.features import Feature
from jobs.runs import Failure

NonEmptyText = Annotated[str, Field(min_length=1, max_length=10_000)]


class BodyContainsEntry(ExpectationEntry):
    """The body contains this text, case-sensitive."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_TEXT_BYTES

    body_contains: NonEmptyText

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        if self.body_contains in answer.text:
            return None
        return Failure("body_contains", answer.quote_text(self.body_contains), answer.describe_missing_text())


class BodyNotContainsEntry(ExpectationEntry):
    """The part of the body that was read does not contain this text."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_TEXT_BYTES

    body_not_contains: NonEmptyText

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        at = answer.text.find(self.body_not_contains)
        if at < 0:
            return None
        # The text around it is not shown: a cut secret would not be recognised.
        observed = answer.quote_text(answer.text) if at < MOST_SHOWN_CHARACTERS else f"this text at character {at}"
        return Failure("body_not_contains", f"not {answer.quote_text(self.body_not_contains)}", observed)


class BodyMatchesEntry(ExpectationEntry):
    """The regular expression matches somewhere in the body (`^` and `$` anchor it)."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_SEARCH_BYTES

    body_matches: NonEmptyPatternField

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        expected = f"a match of {answer.quote_text(self.body_matches)}"
        try:
            found = search(self.body_matches, answer.text)
        except LimitExceeded as error:
            return Failure("body_matches", expected, str(error))
        return None if found else Failure("body_matches", expected, answer.describe_missing_text())


class BodyNotMatchesEntry(ExpectationEntry):
    """The regular expression does not match anywhere in the part of the body that was read."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_SEARCH_BYTES

    body_not_matches: NonEmptyPatternField

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        expected = f"no match of {answer.quote_text(self.body_not_matches)}"
        try:
            if not search(self.body_not_matches, answer.text):
                return None
        except LimitExceeded as error:
            return Failure("body_not_matches", expected, str(error))
        return Failure("body_not_matches", expected, answer.quote_text(answer.text))


class _TextComparison(Comparison):
    compares_texts: ClassVar = True


class BodyEntry(ExpectationEntry):
    """The comparison holds for the body as one text, stripped of white space: `{body: {equals: pong}}`."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_SEARCH_BYTES

    body: _TextComparison

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        compared, text = self.body, answer.text.strip()
        expected = (
            f"{compared.describe_expected(answer)} as the body"
            if compared.is_existence_check
            else compared.describe_expected(answer)
        )
        try:
            if compared.holds_for_all([text] if text or not compared.is_existence_check else []):
                return None
        except LimitExceeded as error:
            return Failure("body", expected, str(error))
        return Failure("body", expected, answer.quote_text(text) if text else "an empty body")
