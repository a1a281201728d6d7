"""The entry about values in a JSON body."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from jobs.expectations.comparisons import OptionalValueEntry
from jobs.expectations.engines.jsonpath import JsonPathField, select_values
from jobs.expectations.entry import BRIEF_SEARCH_BYTES, Feature, JudgedAnswer


class JsonEntry(OptionalValueEntry):
    """A JSONPath selects at least one value in the body, and the comparison holds for all of them.

    `equals` compares by the rules of JSON: 1 is 1.0, but neither true nor "1". Comparisons of texts read other values
    as JSON text. `exists: false` holds when no value is selected.
    """

    needs: ClassVar = Feature.JSON
    BRIEF_BYTES: ClassVar = BRIEF_SEARCH_BYTES

    json_: JsonPathField = Field(alias="json")

    def failure_key(self) -> str:
        return f"json {self.json_}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        values = select_values(self.json_, answer.parse_json())
        if self.holds_for_all(values):
            return None
        if not values:
            return "no value"
        wrong = values[0] if self.is_existence_check else next(one for one in values if not self.holds(one))
        among = f" (one of {len(values)} values)" if len(values) > 1 else ""
        return answer.format_json(wrong) + among
