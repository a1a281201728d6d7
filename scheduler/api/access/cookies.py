"""Checks changes that are authenticated by a cookie. Pure. Called by scheduler.api.access.control.

A browser sends the cookie by itself, so another site must not be able to cause the request. SameSite=Strict prevents
that; this check does so as well. scheduler.api.requests.guard has rejected a foreign origin already, and accepts
requests without any of these headers, as commands send them; a browser always sends one of them.
"""

from __future__ import annotations

from starlette.types import Scope

from scheduler.api.requests.origins import SAFE_METHODS

_ORIGIN_HEADERS = frozenset({b"sec-fetch-site", b"origin", b"referer"})


def find_cookie_error(scope: Scope) -> str:
    """Return why the request is rejected; empty if it is accepted."""
    if scope["method"] in SAFE_METHODS or any(name in _ORIGIN_HEADERS for name, _ in scope["headers"]):
        return ""
    return (
        "A change with a session cookie needs the header Sec-Fetch-Site, Origin or Referer, which a browser sends. "
        "Use an API key in other clients."
    )
