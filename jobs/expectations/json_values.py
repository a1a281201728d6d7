"""The entry about values in a JSON body."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from jobs.expectations.answer import Answer, NotJson
from jobs.expectations.comparisons import MayBeMissing
from jobs.expectations.entry import SEARCHED
from jobs.expectations.patterns import TooMuchWork
from jobs.expectations.queries import Query, select
from jobs.runs import Failure


class JsonIs(MayBeMissing):
    """A JSONPath selects at least one value in the body, and the comparison holds for all of them.

    `equals` compares by the rules of JSON: 1 is 1.0, but neither true nor "1". Comparisons of texts read other values
    as JSON text. `exists: false` holds when no value is selected.
    """

    kinds: ClassVar = ("http",)

    json_: Query = Field(alias="json")

    @property
    def largest_at_once(self) -> int:
        return SEARCHED

    def unmet(self, answer: Answer) -> Failure | None:
        key, expected = f"json {self.json_}", self.expected(answer)
        try:
            found = select(self.json_, answer.json())
            if self.holds_for(found):
                return None
        except (NotJson, TooMuchWork) as error:
            return Failure(key, expected, str(error))
        return Failure(key, expected, self._observed(found, answer))

    def _observed(self, found: list[Any], answer: Answer) -> str:
        if not found:
            return "no value"
        wrong = found[0] if self.about_existence else next(one for one in found if not self.holds(one))
        among = f" (one of {len(found)} values)" if len(found) > 1 else ""
        return answer.shown_json(wrong) + among
