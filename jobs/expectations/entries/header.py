"""The entry about a response header."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from jobs.expectations.comparisons import OptionalValueEntry
from jobs.expectations.entry import Feature, JudgedAnswer
from jobs.model_base import HEADER_NAME_PATTERN


class HeaderEntry(OptionalValueEntry):
    """The comparison holds for a response header, case-sensitive; repeated ones are joined by a comma."""

    needs: ClassVar = Feature.HTTP_RESPONSE
    compares_texts: ClassVar = True

    header: str = Field(pattern=HEADER_NAME_PATTERN, description="the name of a header, such as content-type")

    def failure_key(self) -> str:
        return f"header {self.header.lower()}"

    def describe_expected(self, answer: JudgedAnswer) -> str:
        if self.is_existence_check:
            return "the header" if self.exists else "no such header"
        return super().describe_expected(answer)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        value = answer.observation.headers.get(self.header.lower())
        if self.holds_for_all([] if value is None else [value]):
            return None
        return "no such header" if value is None else answer.quote_text(value)
