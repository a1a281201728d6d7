"""The liveness response of a process that has not opened the program yet. Used by triggers.

Opening may take longer than the time limit of a probe, and the platform would restart the container without need.
Neither the API nor the program is imported: that would cost ten times as much as the response.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from scheduler.api.scopes import LIVE_BODY, LIVE_PATH

if TYPE_CHECKING:
    import azure.functions as func


def is_liveness_request(request: func.HttpRequest) -> bool:
    return request.method in ("GET", "HEAD") and urlsplit(request.url).path == LIVE_PATH


def liveness_response(request: func.HttpRequest) -> func.HttpResponse:
    """Return the response of the API, including its security headers."""
    import azure.functions as func

    from scheduler.api.middleware.security_headers import SECURITY_HEADERS

    headers = {"content-length": str(len(LIVE_BODY)), "content-type": "application/json", **SECURITY_HEADERS}
    body = b"" if request.method == "HEAD" else LIVE_BODY
    return func.HttpResponse(body, status_code=200, headers=headers, mimetype="application/json")
