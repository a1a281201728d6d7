"""Expectations that all forms of web tests have: status, content, certificate. Used by standard, requests and rules."""

from __future__ import annotations

from typing import Any

from config.importers.sources.app_insights.patterns import escape, with_flags

ANY_STATUS = "100-599"
NO_ERROR = "200-399"
"""Without an expected status, a status of 400 or more fails."""


def expect_status(expected: str, *, is_ignored: bool) -> dict[str, Any]:
    """Return the expectation of a status; 0 and an empty text stand for no error."""
    if is_ignored:
        return {"status": ANY_STATUS}
    code = expected.strip()
    return {"status": int(code)} if code.isdecimal() and int(code) else {"status": NO_ERROR}


def expect_text(text: str, *, is_pattern: bool = False, ignore_case: bool, passes_if_found: bool) -> dict[str, Any]:
    """Return the expectation of a text in the body."""
    if is_pattern or ignore_case:
        pattern = with_flags(text if is_pattern else escape(text), ignore_case=ignore_case)
        return {"body_matches" if passes_if_found else "body_not_matches": pattern}
    return {"body_contains" if passes_if_found else "body_not_contains": text}
