"""Names of HTTP status codes as in RFC 9110. Called by scheduler.api and scheduler.connections."""

from __future__ import annotations

from http import HTTPStatus

_NEWER_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}
"""Python before 3.13 has the phrases of older RFCs."""


def reason_phrase(status: int) -> str:
    """Return the phrase of a status code. Raises ValueError for an unknown one."""
    return _NEWER_PHRASES.get(status) or HTTPStatus(status).phrase
