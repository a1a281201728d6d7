"""What every entry of `expect` is: a frozen model that tells what does not hold of an answer. Base of the topics."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from jobs.expectations.answer import Answer
from jobs.model import Frozen
from jobs.runs import Failure, Severity

EVERY_KIND = ("http", "steps", "tcp", "dns", "tls", "heartbeat")
"""The kinds of check."""


class Written(Frozen):
    """A model that writes out only what was said."""

    @model_serializer(mode="wrap")
    def _without_what_was_left_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        left_out = self._left_out()
        return {key: value for key, value in write(self).items() if key not in left_out}

    def _left_out(self) -> set[str]:
        """The keys that are not written out, as they say nothing."""
        return set()


class Entry(Written):
    """One entry, known by its key.

    `severity: degraded` lets the attempt succeed, and the run be degraded, where this does not hold.
    """

    kinds: ClassVar[tuple[str, ...]] = EVERY_KIND
    """The kinds of check whose answers have what it looks at."""
    about: ClassVar[str] = ""
    """What it speaks of: `status` and `rcode` take the place of what is expected otherwise; `certificate` is nothing
    that an http:// URL has."""

    severity: Severity = Severity.FAIL

    @property
    def largest_at_once(self) -> int | None:
        """Bytes of a body on which this is surely decided within a few milliseconds; None: of any."""
        return None

    @property
    def speaks_of(self) -> str:
        """`about`, or what this one entry speaks of."""
        return self.about

    def unmet(self, answer: Answer) -> Failure | None:
        """What does not hold; None if it holds. Raises OutOfTime alone, whatever the answer is."""
        raise NotImplementedError

    def _left_out(self) -> set[str]:
        return super()._left_out() | ({"severity"} if self.severity is Severity.FAIL else set())


READ_AS_TEXT = 256 * 1024
"""Bytes of a body that is read as a text and looked through once."""
SEARCHED = 32 * 1024
"""Bytes of a body that is parsed as JSON, or searched for a pattern."""
CONVERTED = 4 * 1024
"""Bytes of a body that an expression gets as JSON."""
