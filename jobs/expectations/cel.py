"""The entry `cel`, for what no other entry says: an expression that is true (Common Expression Language)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jobs.certificates import UnreadableCertificate, read_certificate
from jobs.expectations.answer import Answer, NotJson
from jobs.expectations.entry import CONVERTED, SEARCHED, Entry
from jobs.expectations.expressions import Expression, ExpressionFailed, evaluate
from jobs.expectations.patterns import TooMuchWork
from jobs.expectations.rounds import names_of
from jobs.runs import Failure, Severity

_NAMES = re.compile(r"[A-Za-z_]\w*")


class Cel(Entry):
    """The expression is true. What it may name is in `jobs.expectations.expressions.VARIABLES`."""

    cel: Expression

    @property
    def largest_at_once(self) -> int | None:
        names = names_of(self.cel)
        if "json" in names:
            return CONVERTED
        return SEARCHED if "body" in names else None

    @property
    def speaks_of(self) -> str:
        # One that only degrades says what is better than good enough: a 503 is not that.
        decides = self.severity is Severity.FAIL and "status" in self.cel
        return "status" if decides and "status" in names_of(self.cel) else ""

    def unmet(self, answer: Answer) -> Failure | None:
        variables = _Variables(answer, frozenset(_NAMES.findall(self.cel)))
        try:
            result = evaluate(self.cel, variables.given())
        except (ExpressionFailed, TooMuchWork) as error:
            return self._failure(answer, variables.problem or str(error))
        if result is True:
            return None
        return self._failure(answer, "false" if result is False else f"{answer.shown_json(result)}, not true or false")

    def _failure(self, answer: Answer, observed: str) -> Failure:
        return Failure("cel", answer.shown(self.cel), answer.plain(observed))


class _Variables:
    """What an expression gets of an answer: only what it may name, as each is made for it."""

    def __init__(self, answer: Answer, named: frozenset[str]) -> None:
        self._answer = answer
        self._named = named
        self.problem = ""
        """Why there is no `json`, if it is asked for and the body has none."""

    def given(self) -> dict[str, Any]:
        seen = self._answer.seen
        values: dict[str, Any] = {
            "response_time": int(seen.phases.total_ms),
            "headers": dict(seen.headers),
            "facts": dict(seen.facts) if "facts" in self._named else {},
        }
        if seen.status is not None:
            values["status"] = seen.status
        if "body" in self._named:
            values["body"] = self._answer.text
        if "certificate" in self._named:
            values["certificate"] = self._certificate()
        if "json" in self._named:
            self._add_json(values)
        return values

    def _add_json(self, values: dict[str, Any]) -> None:
        try:
            values["json"] = self._answer.json()
        except NotJson as error:
            self.problem = str(error)

    def _certificate(self) -> Mapping[str, Any]:
        """Empty without a certificate: `has(certificate.days_left)` tells."""
        shown = self._answer.seen.certificates
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
