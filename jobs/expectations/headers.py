"""The entry about a response header."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from jobs.expectations.answer import Answer
from jobs.expectations.comparisons import MayBeMissing
from jobs.expectations.patterns import TooMuchWork
from jobs.model import HEADER_NAME
from jobs.runs import Failure


class HeaderIs(MayBeMissing):
    """The comparison holds for a response header, case-sensitive; repeated ones are joined by a comma."""

    kinds: ClassVar = ("http",)
    of_texts: ClassVar = True

    header: str = Field(pattern=HEADER_NAME, description="the name of a header, such as content-type")

    def unmet(self, answer: Answer) -> Failure | None:
        value = answer.seen.headers.get(self.header.lower())
        try:
            if self.holds_for([] if value is None else [value]):
                return None
        except TooMuchWork as error:
            return self._failure(answer, str(error))
        return self._failure(answer, "no such header" if value is None else answer.shown(value))

    def _failure(self, answer: Answer, observed: str) -> Failure:
        expected = self.expected(answer)
        if self.about_existence:
            expected = "the header" if self.exists else "no such header"
        return Failure(f"header {self.header.lower()}", expected, observed)
