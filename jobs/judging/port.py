"""What can be judged, and by whom: the protocols between those who judge and those who have something judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from jobs.expectations.budget import JUDGEMENT_SECONDS
from jobs.redaction import Redact

R = TypeVar("R")
Begins = Callable[[int], None]
"""Called with the place of each part of a task before it begins."""

PATIENCE_SECONDS = 10.0
"""For which a judgement waits for those of other jobs."""


class NotJudged(Exception):
    """Nothing could be decided, and neither the job nor its target is to blame; the message is a sentence."""


class Task(Protocol[R]):
    """A judgement, as it is handed to another process: it can be pickled, and its result is packed as JSON."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        ...

    def is_brief(self) -> bool:
        """Whether each part of it surely takes a few milliseconds at most."""
        ...

    def perform(self, redact: Redact, begins: Begins) -> R:
        """Judge, within the current budget. Raises OutOfTime if that is not final."""
        ...

    def pack(self, result: R) -> Any:
        """The result as a JSON value."""
        ...

    def unpack(self, packed: Any, complete: Callable[[str], str]) -> R:
        """The inverse. `complete`: puts what was redacted into a text of the result."""
        ...

    def undecided(self, place: int, why: str) -> R:
        """The result if it was stopped at the part of this place."""
        ...


@dataclass(frozen=True, slots=True)
class Judged(Generic[R]):
    """A result, and the seconds of computing that it took."""

    result: R
    seconds: float


class Judges(Protocol):
    async def perform(
        self,
        job: str,
        task: Task[R],
        redact: Redact,
        *,
        seconds: float = JUDGEMENT_SECONDS,
        patience: float = PATIENCE_SECONDS,
    ) -> Judged[R]:
        """Judge for a job in at most `seconds` of computing, after at most `patience` of waiting. Raises NotJudged."""
        ...


def nothing_begins(place: int) -> None:
    """For those who do not want to know."""
