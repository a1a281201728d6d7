"""Entries about the body as text."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from jobs.expectations.comparisons import Comparison
from jobs.expectations.engines.regular_expressions import NonEmptyPatternField, search
from jobs.expectations.entry import (
    BRIEF_SEARCH_BYTES,
    BRIEF_TEXT_BYTES,
    MAX_SHOWN_CHARACTERS,
    ExpectationEntry,
    Feature,
    JudgedAnswer,
)

NonEmptyText = Annotated[str, Field(min_length=1, max_length=10_000)]


class BodyContainsEntry(ExpectationEntry):
    """The body contains this text, case-sensitive."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_TEXT_BYTES

    body_contains: NonEmptyText

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return answer.quote_text(self.body_contains)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        return None if self.body_contains in answer.text else answer.describe_missing_text()


class BodyNotContainsEntry(ExpectationEntry):
    """The part of the body that was read does not contain this text."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_TEXT_BYTES

    body_not_contains: NonEmptyText

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"not {answer.quote_text(self.body_not_contains)}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        at = answer.text.find(self.body_not_contains)
        if at < 0:
            return None
        # The text around it is not shown: a cut secret would not be recognised.
        return answer.quote_text(answer.text) if at < MAX_SHOWN_CHARACTERS else f"this text at character {at}"


class BodyMatchesEntry(ExpectationEntry):
    """The regular expression matches somewhere in the body (`^` and `$` anchor it)."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_SEARCH_BYTES

    body_matches: NonEmptyPatternField

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"a match of {answer.quote_text(self.body_matches)}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        return None if search(self.body_matches, answer.text) else answer.describe_missing_text()


class BodyNotMatchesEntry(ExpectationEntry):
    """The regular expression does not match anywhere in the part of the body that was read."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_SEARCH_BYTES

    body_not_matches: NonEmptyPatternField

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return f"no match of {answer.quote_text(self.body_not_matches)}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        return answer.quote_text(answer.text) if search(self.body_not_matches, answer.text) else None


class _TextComparison(Comparison):
    compares_texts: ClassVar = True


class BodyEntry(ExpectationEntry):
    """The comparison holds for the body as one text, stripped of white space: `{body: {equals: pong}}`."""

    needs: ClassVar = Feature.BODY
    BRIEF_BYTES: ClassVar = BRIEF_SEARCH_BYTES

    body: _TextComparison

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return self.body.describe_expected(answer) + (" as the body" if self.body.is_existence_check else "")

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        text = answer.text.strip()
        if self.body.holds_for_all([text] if text or not self.body.is_existence_check else []):
            return None
        return answer.quote_text(text) if text else "an empty body"
