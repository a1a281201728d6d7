"""The responses to requests without a valid credential or role. Called by scheduler.api.access.control."""

from __future__ import annotations

from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.types import Scope, Send

from scheduler.api.requests.accept import accepts_html, create_problem_page
from scheduler.api.requests.rejection import reject
from scheduler.api.scopes import SIGN_IN_PATH

_NEEDS_CREDENTIAL = "This request needs a credential. Send `Authorization: Bearer KEY` or `X-API-Key: KEY`."
CHALLENGE = 'Bearer realm="scheduler"'
INVALID_CHALLENGE = f'{CHALLENGE}, error="invalid_token"'
"""For a request whose credential is invalid."""


def is_page_request(scope: Scope) -> bool:
    """Return whether a browser requests a page."""
    return scope["method"] in ("GET", "HEAD") and accepts_html(Request(scope))


async def answer_unauthenticated(
    scope: Scope, send: Send, detail: str, *, is_invalid: bool = False, can_sign_in: bool = False
) -> None:
    """Send 401, or redirect a browser to the sign-in page. `is_invalid`: the request had a credential."""
    if can_sign_in and is_page_request(scope):
        location = f"{SIGN_IN_PATH}?{urlencode({'next': scope['path']})}"
        await reject(scope, send, HTTPStatus.SEE_OTHER, _NEEDS_CREDENTIAL, headers=[(b"location", location.encode())])
        return
    challenge = INVALID_CHALLENGE if is_invalid else CHALLENGE
    headers = [(b"www-authenticate", challenge.encode())]
    await reject(scope, send, HTTPStatus.UNAUTHORIZED, detail or _NEEDS_CREDENTIAL, headers=headers)


async def answer_forbidden(scope: Scope, send: Send, detail: str) -> None:
    """Send 403, as a page to a browser that requests one."""
    page = create_problem_page(Request(scope), HTTPStatus.FORBIDDEN, detail) if is_page_request(scope) else None
    if page is None:
        await reject(scope, send, HTTPStatus.FORBIDDEN, detail)
        return
    await send({"type": "http.response.start", "status": page.status_code, "headers": page.raw_headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else page.body})
