"""The base class of all entries of `expect`: a frozen model that compares an answer with its own fields.

Each target class lists the features of its observations, each entry needs one: entries that do not fit the kind of
check are found at load.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import StrEnum
from typing import Any, ClassVar

from pydantic import SerializerFunctionWrapHandler, model_serializer

from jobs.expectations.answer import JudgedAnswer, NotJson
from jobs.expectations.engines.regular_expressions import LimitExceeded
from jobs.model_base import FrozenModel
from jobs.runs import Failure, Severity


class Feature(StrEnum):
    """The value describes the feature in error messages."""

    FACTS = "facts"
    DURATION = "a duration"
    HTTP_RESPONSE = "an HTTP response"
    BODY = "a body"
    CONNECTION = "a connection"
    OPTIONAL_TLS = "a connection with optional TLS"
    CERTIFICATE = "a certificate"
    DNS_ANSWER = "a DNS answer"


BRIEF_TEXT_BYTES = 256 * 1024
"""Bytes of a body that is decoded and searched for a plain text."""
BRIEF_SEARCH_BYTES = 32 * 1024
"""Bytes of a body that is parsed as JSON, or searched with a pattern."""
BRIEF_CEL_BYTES = 4 * 1024
"""Bytes of a body that is converted for a CEL expression."""


class SparseModel(FrozenModel):
    """A model that serializes only the fields that were set."""

    @model_serializer(mode="wrap")
    def _serialize_sparsely(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        omitted = self._omitted_keys()
        return {key: value for key, value in write(self).items() if key not in omitted}

    def _omitted_keys(self) -> set[str]:
        """Return the keys that have their default."""
        return set()


class ExpectationEntry(SparseModel):
    """One entry, identified by its key.

    With `severity: degraded`, an entry that does not hold degrades the run and lets the attempt succeed.
    """

    needs: ClassVar[Feature] = Feature.FACTS
    """The feature of the observation that it compares."""
    REPLACES: ClassVar[str] = ""
    BRIEF_BYTES: ClassVar[int | None] = None

    severity: Severity = Severity.FAIL

    @classmethod
    def entry_key(cls) -> str:
        """Return the key that identifies the entry: its first required field."""
        name, field = next((name, field) for name, field in cls.model_fields.items() if field.is_required())
        return field.alias or name

    @property
    def brief_bytes(self) -> int | None:
        """The largest body that it surely decides within a few milliseconds; None: any."""
        return self.BRIEF_BYTES

    @property
    def replaces(self) -> str:
        """The implicit expectation that it replaces: `status`, `rcode` or none."""
        return self.REPLACES

    def find_failure(self, answer: JudgedAnswer) -> Failure | None:
        """Return the failure, or None if the entry holds. Raises only BudgetExceeded, for any answer."""
        try:
            observed = self.find_mismatch(answer)
        except (LimitExceeded, NotJson) as error:
            observed = str(error)
        return None if observed is None else Failure(self.failure_key(), self.describe_expected(answer), observed)

    def failure_key(self) -> str:
        return self.entry_key()

    def describe_expected(self, answer: JudgedAnswer) -> str:
        raise NotImplementedError

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        """Return the observed value if it is not as expected; None if the entry holds."""
        raise NotImplementedError

    def _omitted_keys(self) -> set[str]:
        return super()._omitted_keys() | ({"severity"} if self.severity is Severity.FAIL else set())


def check_applicable(
    entries: Iterable[ExpectationEntry], kind: str, features: Collection[Feature], url: str = ""
) -> None:
    """Raise ValueError for an entry that needs another feature. `features`: of the kind; `url`: of an HTTP check."""
    for number, entry in enumerate(entries, 1):
        head = f"{entry.entry_key()} (entry {number})"
        if entry.needs not in features:
            raise ValueError(f"{head} does not fit a check of kind {kind}: it needs {entry.needs.value}")
        if entry.needs is Feature.CERTIFICATE and url.startswith("http://"):
            raise ValueError(f"{head} needs a certificate, but an http:// URL has none: use https://")
