"""The entry about facts that a check records in addition to the answer, such as the address of the target."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from jobs.expectations.comparisons import OptionalValueEntry
from jobs.expectations.entry import JudgedAnswer

_NOTHING = object()


class FactEntry(OptionalValueEntry):
    """The comparison holds for the fact of this name, such as `remote_address`; `values.order` is a nested one."""

    fact: str = Field(
        pattern=r"^[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$", max_length=200, description="a name, such as remote_address"
    )

    def failure_key(self) -> str:
        return f"fact {self.fact}"

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        value: Any = answer.observation.facts
        for name in self.fact.split("."):
            value = value.get(name, _NOTHING) if hasattr(value, "get") else _NOTHING
        if self.holds_for_all([] if value is _NOTHING else [value]):
            return None
        return "no value" if value is _NOTHING else self.describe_observed(value, answer)
