"""The entry about a target that must not answer: a closed port, a certificate that must be rejected."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field

from jobs.expectations.entry import ExpectationEntry, Feature, JudgedAnswer
from jobs.runs import ErrorClass

ExpectedError = Literal[
    "dns_failure",
    "dns_timeout",
    "connection_refused",
    "connection_reset",
    "connection_failed",
    "connect_timeout",
    "tls_certificate",
    "tls_failure",
    "tls_timeout",
    "response_timeout",
    "body_timeout",
    "protocol_error",
    "too_many_redirects",
]
"""The values of ErrorClass that depend on the target."""


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


class ErrorEntry(ExpectationEntry):
    """The attempt ends with one of these errors: `connection_refused`, or `[connection_refused, connect_timeout]`."""

    needs: ClassVar = Feature.CONNECTION
    REPLACES: ClassVar = "status"

    error: Annotated[
        tuple[ExpectedError, ...],
        BeforeValidator(_as_list, json_schema_input_type=ExpectedError | tuple[ExpectedError, ...]),
        Field(min_length=1, max_length=20, description="such as dns_failure"),
    ]

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return " or ".join(self.error)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        error, status = answer.observation.error, answer.observation.status
        if error is not None:
            return None if error.value in self.error else error
        return "an answer" if status is None else f"an answer, {status}"


def is_expected_error(error: ErrorClass, expectations: Iterable[ExpectationEntry]) -> bool:
    """Whether the expectations require an attempt to end with this error."""
    entries = [entry for entry in expectations if isinstance(entry, ErrorEntry)]
    return bool(entries) and all(error.value in entry.error for entry in entries)
