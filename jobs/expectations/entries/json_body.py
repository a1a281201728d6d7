"""The entry about values in a JSON body."""

from __future__ import annotations

from typing import Any, ClassVar

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
        found = self.find_wrong_value(answer)
        if found is None:
            return None
        wrong, count = found
        if not count:
            return "no value"
        return self.describe_observed(wrong, answer) + (f" (one of {count} values)" if count > 1 else "")

    def find_wrong_value(self, answer: JudgedAnswer) -> tuple[Any, int] | None:
        """Return a value that is not as expected, and how many were selected; None if the entry holds.

        Raises NotJson, LimitExceeded.
        """
        values = select_values(self.json_, answer.parse_json())
        if self.holds_for_all(values):
            return None
        if not values or self.is_existence_check:
            return (values or [None])[0], len(values)
        # By now an instant can hold.
        return next((one for one in values if not self.holds(one)), values[0]), len(values)
