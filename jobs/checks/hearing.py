"""Whether what a TCP target has sent so far has the pattern that its job waits for, as a task. Made by tcp.py."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobs.expectations.budget import OutOfTime, current
from jobs.expectations.entry import SEARCHED
from jobs.expectations.patterns import TooMuchWork, can_still_match, search
from jobs.expectations.undecided import time_over
from jobs.judging import Begins
from jobs.redaction import Redact


@dataclass(frozen=True, slots=True)
class Heard:
    """`is_hopeless`: nothing that follows can make a match. `undecided`: why nothing is known, a clause, or nothing."""

    found: bool = False
    is_hopeless: bool = False
    undecided: str = ""


@dataclass(frozen=True, slots=True)
class Hearing:
    """See Task."""

    pattern: str
    heard: bytes

    @property
    def size(self) -> int:
        return len(self.heard)

    def is_brief(self) -> bool:
        return self.size <= SEARCHED

    def perform(self, redact: Redact, begins: Begins) -> Heard:
        begins(0)
        text = self.heard.decode("utf-8", "replace")
        try:
            found = search(self.pattern, text)
            return Heard(
                found, not found and bool(text) and not can_still_match(self.pattern, self._whole_characters())
            )
        except TooMuchWork as error:
            return Heard(undecided=str(error))
        except OutOfTime:
            budget = current()
            if budget is None or not budget.is_final:
                raise
            return Heard(undecided=time_over(budget.seconds))

    def pack(self, result: Heard) -> Any:
        return [result.found, result.is_hopeless, result.undecided]

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> Heard:
        return Heard(*packed)

    def undecided(self, place: int, why: str) -> Heard:
        return Heard(undecided=why)

    def _whole_characters(self) -> str:
        """The text without a character at its end of which bytes are still to come."""
        return getincrementaldecoder("utf-8")("replace").decode(self.heard)
