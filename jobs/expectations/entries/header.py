"""The entry about a response header."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from jobs.expectations.answer import JudgedAnswer
from jobs.expectations.comparisons import OptionalValueEntry
from jobs.expectations.engines.regular_expressions import LimitExceeded
from jobs.expectations.features import Feature
from jobs.model_base import HEADER_NAME_PATTERN
from jobs.runs import Failure


class HeaderEntry(OptionalValueEntry):
    """The comparison holds for a response header, case-sensitive; repeated ones are joined by a comma."""

    needs: ClassVar = Feature.HTTP_RESPONSE
    compares_texts: ClassVar = True

    header: str = Field(pattern=HEADER_NAME_PATTERN, description="the name of a header, such as content-type")

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        value = answer.observation.headers.get(self.header.lower())
        try:
            if self.holds_for_all([] if value is None else [value]):
                return None
        except LimitExceeded as error:
            return self._failure(answer, str(error))
        return self._failure(answer, "no such header" if value is None else answer.quote_text(value))

    def _failure(self, answer: JudgedAnswer, observed: str) -> Failure:
        expected = self.describe_expected(answer)
        if self.is_existence_check:
            expected = "the header" if self.exists else "no such header"
        return Failure(f"header {self.header.lower()}", expected, observed)
