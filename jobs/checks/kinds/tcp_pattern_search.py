"""Search what a TCP target has sent for the pattern that its job expects, as a task. Made by tcp_dialogue.py."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.expectations.budget import BudgetExceeded, current_budget
from jobs.expectations.engines.regular_expressions import LimitExceeded, can_still_match, search
from jobs.expectations.entry import BRIEF_SEARCH_BYTES
from jobs.expectations.judging import describe_exceeded_budget
from jobs.judging import OnPartStarted
from jobs.redaction import Redact


@dataclass(frozen=True, slots=True)
class PatternSearchResult:
    """`cannot_match`: no further data can make a match. `undecided`: why the result is unknown, a clause, or empty."""

    found: bool = False
    cannot_match: bool = False
    undecided: str = ""


@dataclass(frozen=True, slots=True)
class PatternSearch:
    """See jobs.judging.port."""

    pattern: str
    received: bytes

    @property
    def size(self) -> int:
        return len(self.received)

    def is_brief(self) -> bool:
        return self.size <= BRIEF_SEARCH_BYTES

    def perform(self, redact: Redact, on_part_started: OnPartStarted) -> PatternSearchResult:
        on_part_started(0)
        text = self.received.decode("utf-8", "replace")
        try:
            found = search(self.pattern, text)
            return PatternSearchResult(
                found, not found and bool(text) and not can_still_match(self.pattern, self._complete_characters())
            )
        except LimitExceeded as error:
            return PatternSearchResult(undecided=str(error))
        except BudgetExceeded:
            budget = current_budget()
            if budget is None or not budget.is_final:
                raise
            return PatternSearchResult(undecided=describe_exceeded_budget(budget.seconds))

    def pack(self, result: PatternSearchResult) -> Any:
        return [result.found, result.cannot_match, result.undecided]

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> PatternSearchResult:
        return PatternSearchResult(*packed)

    def undecided(self, place: int, why: str) -> PatternSearchResult:
        return PatternSearchResult(undecided=why)

    def _complete_characters(self) -> str:
        """Return the text without a last character of which bytes are still to come."""
        return getincrementaldecoder("utf-8")("replace").decode(self.received)
