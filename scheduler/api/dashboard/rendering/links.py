"""Links of a page with the function key of its request, as a browser sends no key header.

Called by scheduler.api.dashboard.rendering.page and scheduler.api.dashboard.access.preferences.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlencode

from fastapi import Request

from scheduler.api.routing import FUNCTION_KEY


def make_link(request: Request) -> Callable[..., str]:
    """Return a function that makes a link of a path and its query: `link("/api/runs", job="x")`."""
    key = request.query_params.get(FUNCTION_KEY)

    def link(path: str, **query: str) -> str:
        pairs = query | ({FUNCTION_KEY: key} if key else {})
        if not pairs:
            return path
        return f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}"

    return link
