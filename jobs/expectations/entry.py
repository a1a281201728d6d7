"""The base class of all entries of `expect`: a frozen model that compares an answer with its own fields."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from jobs.expectations.answer import JudgedAnswer
from jobs.model_base import FrozenModel
from jobs.runs import Failure, Severity

EVERY_KIND = ("http", "steps", "tcp", "dns", "tls", "heartbeat")
"""The kinds of check."""


class SparseModel(FrozenModel):
    """A model that serializes only the fields that were set."""

    @model_serializer(mode="wrap")
    def _without_what_was_left_out(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        left_out = self._left_out()
        return {key: value for key, value in write(self).items() if key not in left_out}

    def _left_out(self) -> set[str]:
        """Return the keys to omit, because they have their default."""
        return set()


class ExpectationEntry(SparseModel):
    """One entry, identified by its key.

    With `severity: degraded`, an entry that does not hold degrades the run and lets the attempt succeed.
    """

    kinds: ClassVar[tuple[str, ...]] = EVERY_KIND
    """The kinds of check whose answers have the value that it compares."""
    about: ClassVar[str] = ""
    """`status` or `rcode`: replaces the implicit expectation of that name; `certificate`: does not fit an http URL."""

    severity: Severity = Severity.FAIL

    @property
    def largest_at_once(self) -> int | None:
        """The largest body, in bytes, that it surely decides within a few milliseconds; None: any."""
        return None

    @property
    def speaks_of(self) -> str:
        """`about`, unless it depends on the values of this entry."""
        return self.about

    def unmet(self, answer: JudgedAnswer) -> Failure | None:
        """Return the failure, or None if the entry holds. Raises only OutOfTime, for any answer."""
        raise NotImplementedError

    def _left_out(self) -> set[str]:
        return super()._left_out() | ({"severity"} if self.severity is Severity.FAIL else set())


BRIEF_TEXT_BYTES = 256 * 1024
"""Bytes of a body that is decoded and searched for a plain text."""
BRIEF_SEARCH_BYTES = 32 * 1024
"""Bytes of a body that is parsed as JSON, or searched with a pattern."""
BRIEF_CEL_BYTES = 4 * 1024
"""Bytes of a body that is converted for a CEL expression."""
