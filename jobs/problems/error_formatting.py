"""Turns pydantic's errors into messages with key, cause and fix. Called through jobs.problems.

Values of keys that look secret are never shown.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jobs.problems.error_detail import ErrorDetail
from jobs.problems.findings import MOST_LISTED_PROBLEMS, Finding, KeyPath, Problem

if TYPE_CHECKING:
    from pydantic import ValidationError
    from pydantic_core import ErrorDetails


def validation_problems(error: ValidationError, model: Any, base: str = "") -> tuple[Problem, ...]:
    """Return the problems of a failed validation of `model` (a class or an annotated type), with keys below `base`."""
    return tuple(finding.to_problem(base) for finding in validation_findings(error.errors(include_url=False), model))


def validation_findings(errors: Iterable[ErrorDetails], model: Any) -> tuple[Finding, ...]:
    """Return the findings of pydantic's `error.errors()`. After the first hundred they are only counted."""
    details = list(errors)
    unlisted = len(details) - MOST_LISTED_PROBLEMS
    details = details[:MOST_LISTED_PROBLEMS]
    unknown = [ErrorDetail.from_pydantic(detail, model) for detail in details if detail["type"] == "extra_forbidden"]
    misspelt = {(*error.location.path, error.suggestion) for error in unknown}
    findings = []
    for detail in details:
        error = ErrorDetail.from_pydantic(detail, model)
        if detail["type"] == "missing" and (
            error.location.path in misspelt or _is_misspelt_above(error.location.path, misspelt)
        ):
            continue  # the misspelt key has a finding already
        if detail["type"] == "too_short" and any(_is_nested_in(other, detail) for other in details):
            continue  # pydantic does not count invalid entries, which have findings
        findings.append(error.to_finding())
    if unlisted > 0:
        findings.append(Finding((), f"has {unlisted} more problems, which are not listed"))
    return tuple(dict.fromkeys(findings))


def _is_misspelt_above(path: KeyPath, misspelt: set[tuple[str | int | None, ...]]) -> bool:
    """Whether a key of this missing mapping was written one level too high, as `url` without `check`."""
    depth = len(path) - 1
    return any(
        one[:depth] == path[:depth] and isinstance(one[-1], str) and one[-1].startswith(f"{path[-1]}.")
        for one in misspelt
        if path and len(one) == depth + 1
    )


def _is_nested_in(detail: ErrorDetails, other: ErrorDetails) -> bool:
    depth = len(other["loc"])
    return len(detail["loc"]) > depth and detail["loc"][:depth] == other["loc"]
