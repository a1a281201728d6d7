"""The entry `cel`: an expression of the Common Expression Language that must be true."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from jobs.certificates import UnreadableCertificate, read_certificate
from jobs.expectations.engines.cel import CelField, ExpressionError, evaluate_expression, free_names
from jobs.expectations.engines.regular_expressions import LimitExceeded
from jobs.expectations.entry import BRIEF_CEL_BYTES, BRIEF_SEARCH_BYTES, ExpectationEntry, JudgedAnswer, NotJson
from jobs.runs import Severity

_NAME_PATTERN = re.compile(r"[A-Za-z_]\w*")
_MAX_CACHED_NAMES = 1024
"""Expressions."""


class CelEntry(ExpectationEntry):
    """The expression is true."""

    cel: CelField

    @property
    def brief_bytes(self) -> int | None:
        names = free_names(self.cel)
        if "json" in names:
            return BRIEF_CEL_BYTES
        return BRIEF_SEARCH_BYTES if "body" in names else None

    @property
    def replaces(self) -> str:
        # An expression that only degrades does not replace the implicit expectation of a 2xx.
        decides = self.severity is Severity.FAIL and "status" in self.cel
        return "status" if decides and "status" in free_names(self.cel) else ""

    def describe_expected(self, answer: JudgedAnswer) -> str:
        return answer.quote_text(self.cel)

    def find_mismatch(self, answer: JudgedAnswer) -> str | None:
        try:
            return None if self.is_true(answer) else "false"
        except LimitExceeded as error:
            return answer.shorten(str(error))

    def is_true(self, answer: JudgedAnswer) -> bool:
        """Return whether the expression is true. Raises LimitExceeded: it has no value, or not such a one."""
        variables = _CelVariables(answer, _find_names(self.cel))
        try:
            result = evaluate_expression(self.cel, variables.collect())
        except (ExpressionError, LimitExceeded) as error:
            raise LimitExceeded(variables.problem or str(error)) from None
        if not isinstance(result, bool):
            raise LimitExceeded(f"{answer.format_json(result)}, not true or false")
        return result


@lru_cache(_MAX_CACHED_NAMES)
def _find_names(expression: str) -> frozenset[str]:
    return frozenset(_NAME_PATTERN.findall(expression))


class _CelVariables:
    """The values of the variables that the expression names; others are not computed."""

    def __init__(self, answer: JudgedAnswer, named: frozenset[str]) -> None:
        self._answer = answer
        self._named = named
        self.problem = ""
        """Why `json` is missing, if the expression names it."""

    def collect(self) -> dict[str, Any]:
        seen = self._answer.observation
        values: dict[str, Any] = {
            "response_time": int(seen.phases.total_ms),
            "headers": dict(seen.headers) if "headers" in self._named else {},
            "facts": dict(seen.facts) if "facts" in self._named else {},
        }
        if seen.status is not None:
            values["status"] = seen.status
        if "now" in self._named:
            values["now"] = self._answer.now
        if "body" in self._named:
            values["body"] = self._answer.text
        if "certificate" in self._named:
            values["certificate"] = self._certificate()
        if "json" in self._named:
            self._add_json(values)
        return values

    def _add_json(self, values: dict[str, Any]) -> None:
        try:
            values["json"] = self._answer.parse_json()
        except NotJson as error:
            self.problem = str(error)

    def _certificate(self) -> Mapping[str, Any]:
        """Empty without a certificate: test it by `has(certificate.days_left)`."""
        shown = self._answer.observation.certificates
        if not shown:
            return {}
        try:
            certificate = read_certificate(shown[0])
        except UnreadableCertificate:
            return {}
        return {
            "subject": certificate.subject,
            "issuer": certificate.issuer,
            "names": list(certificate.names),
            "not_before": certificate.not_before.isoformat(),
            "not_after": certificate.not_after.isoformat(),
            "days_left": certificate.days_left(self._answer.now),
        }
