"""Renders a page and answers a request for it; renders a problem as a page, which the dashboard registers with the API.

    return await respond(request, uses, "run.html", name="runs", run=run)

In addition to the values of its page, each template has `now` in the time zone of the browser's preferences,
`environment`, `version`, `preferences`, `page` (its name in the navigation), `signed_in`, `link`, `may` and `role_of`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from scheduler.api.access import ROLE_OF_SCOPE
from scheduler.api.dashboard.rendering.formatting import for_people
from scheduler.api.dashboard.rendering.page_caches import (
    PageRevision,
    SharedPage,
    SharedPages,
    recall,
    record_failure,
    record_success,
    remember,
)
from scheduler.api.dashboard.rendering.preferences import PREFERENCES_PATH, find_preferences, make_link
from scheduler.api.dashboard.rendering.templates import get_templates
from scheduler.api.dashboard.static_files import static_path
from scheduler.api.negotiation import accepts_gzip, compress
from scheduler.api.routing import FUNCTION_KEY
from scheduler.api.scopes import Scope
from scheduler.authentication.port import Authenticated
from scheduler.connections.problem_responses import reason_phrase
from scheduler.identity.principal import Principal, PrincipalKind
from scheduler.services import Services
from scheduler.turns import convert_each

OFFERED_ZONES: Final = (
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "America/New_York",
    "America/Los_Angeles",
    "Asia/Kolkata",
    "Asia/Tokyo",
    "Australia/Sydney",
)
"""What the field of the time zone suggests; it accepts each IANA name."""
_MIN_COMPRESSED: Final = 1000
"""Bytes from which a page is compressed."""
_VARY: Final = "Accept, Accept-Encoding, Cookie"
_VOLATILE: Final = re.compile(r'<time id="page-time"[^>]*>[^<]*|(?<= data-relative)[^<]*|(?<= data-elapsed)[^<]*')
"""The time of the page, and texts relative to it."""


def render_page(template: str, request: Request, services: Services, *, page: str = "", **values: Any) -> str:
    """Return the HTML. `page`: its name in the navigation, empty for a page that is not part of it."""
    return get_templates().get_template(template).render(_common_values(request, services, page) | values)


async def render_large_page(
    template: str, request: Request, services: Services, *, page: str = "", **values: Any
) -> str:
    """Return the HTML of a page, rendered in short steps so that due runs start in between."""
    parts = get_templates().get_template(template)
    return "".join(await convert_each(str, parts.generate(_common_values(request, services, page) | values)))


def _common_values(request: Request, services: Services, page: str) -> dict[str, Any]:
    preferences = find_preferences(request)
    return {
        "environment": services.environment,
        "function_key": request.query_params.get(FUNCTION_KEY, ""),
        "is_shared": _is_shared(request),
        "link": make_link(request),
        "may": lambda scope: _has_role(request, Scope(scope)),
        "now": services.clock.now().astimezone(preferences.zone),
        "offered_zones": OFFERED_ZONES,
        "origin": f"{request.url.scheme}://{request.url.netloc}",
        "page": page,
        "path": request.url.path + (f"?{query}" if (query := _query_without_key(request)) else ""),
        "preferences": preferences,
        "preferences_path": PREFERENCES_PATH,
        "role_of": lambda scope: str(ROLE_OF_SCOPE[Scope(scope)]),
        "signed_in": _find_session(request),
        "static": static_path,
        "version": services.version,
    }


async def respond(
    request: Request,
    services: Services,
    template: str,
    *,
    page: str = "",
    status: int = HTTPStatus.OK,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """Return the page, or 304 if the browser has the same: apart from the texts of times, which its script updates."""
    html = render_page(template, request, services, page=page, **values)
    return await create_response(request, html, status, headers)


async def respond_shared(
    request: Request,
    services: Services,
    pages: SharedPages,
    facts: object,
    render: Callable[[], Awaitable[str | Response]],
    urgent: object = None,
) -> Response:
    """Return the page that a tab of the same caller has got for the same facts, else what `render` returns.

    `facts`: what the page shows, apart from what only reads of the store tell. `urgent`: what of it appears at once.
    `render` returns the HTML, or the response of `respond`; one that is not a page is sent to this caller alone. A
    browser that has the page gets 304.
    """
    preferences = find_preferences(request)
    principal: Principal | None = (request.scope.get("state") or {}).get("principal")
    caller = principal and (principal.kind, principal.name, principal.role)
    key = request.url.path, request.url.query, preferences, caller, _find_session(request) is not None
    is_forced = "no-cache" in request.headers.get("cache-control", "")
    request.scope.setdefault("state", {})[_SHARED] = True

    async def create() -> SharedPage:
        rendered = await render()
        if isinstance(rendered, Response) and rendered.status_code != HTTPStatus.OK:
            raise _OwnResponse(rendered)
        html = bytes(rendered.body).decode() if isinstance(rendered, Response) else rendered
        page = SharedPage.create(html, _make_etag(html))
        if isinstance(rendered, Response):
            body = page.gzip_at(services.clock.now().astimezone(preferences.zone), preferences.zone_name)
            remember(request, body, is_compressed=True)
        return page

    try:
        page = await pages.get(key, PageRevision(facts, is_forced, urgent), create)
    except _OwnResponse as own:
        return own.response
    record_success(request)
    headers = {"ETag": page.etag, "Vary": _VARY}
    if request.headers.get("if-none-match") == page.etag:
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=headers)
    now, zone = services.clock.now().astimezone(preferences.zone), preferences.zone_name
    if accepts_gzip(request.headers.get("accept-encoding", "")):
        return HTMLResponse(page.gzip_at(now, zone), headers=headers | {"Content-Encoding": "gzip"})
    return HTMLResponse(page.body_at(now, zone), headers=headers)


_SHARED: Final = "is_shared_page"
"""Member of the state of a request whose page the tabs of a caller share."""


class _OwnResponse(Exception):
    """Ends the rendering of a page that cannot be shared, such as a redirection."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _is_shared(request: Request) -> bool:
    return bool((request.scope.get("state") or {}).get(_SHARED))


async def create_response(
    request: Request, html: str, status: int = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> Response:
    """Return the response for the HTML of a page, with its ETag, compressed for a client that accepts it."""
    if status == HTTPStatus.OK and _is_shared(request):
        return HTMLResponse(html)  # respond_shared compresses it, and knows what the browser has
    if status == HTTPStatus.OK:
        record_success(request)
    etag = _make_etag(html)
    sent_headers = {**(headers or {}), "ETag": etag, "Vary": _VARY}
    if status == HTTPStatus.OK and request.headers.get("if-none-match") == etag:
        remember(request, None)
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=sent_headers)
    body = html.encode()
    if len(body) >= _MIN_COMPRESSED and accepts_gzip(request.headers.get("accept-encoding", "")):
        body, sent_headers["Content-Encoding"] = await compress(body), "gzip"
    if status == HTTPStatus.OK:
        remember(request, body, is_compressed="Content-Encoding" in sent_headers)
    return HTMLResponse(body, status, sent_headers)


def _make_etag(html: str) -> str:
    stable = _VOLATILE.sub("", html)
    return f'W/"{hashlib.sha256(stable.encode()).hexdigest()[:32]}"'


def _has_role(request: Request, scope: Scope) -> bool:
    """Return whether the caller may call routes of the scope, if that is known.

    The key of a function that reads can be a host key, which opens all functions: the platform checks that at the call.
    """
    principal: Principal | None = (request.scope.get("state") or {}).get("principal")
    if principal is None:
        return False
    return principal.kind is PrincipalKind.FUNCTION_KEY or principal.role.includes(ROLE_OF_SCOPE[scope])


def _query_without_key(request: Request) -> str:
    return urlencode([(name, value) for name, value in request.query_params.multi_items() if name != FUNCTION_KEY])


def _find_session(request: Request) -> Principal | None:
    """Return the caller of a session, whom the page names; None for any other caller."""
    caller: Authenticated | None = (request.scope.get("state") or {}).get("authenticated")
    return caller.principal if caller is not None and caller.session_id else None


_SENTENCES: Final[Mapping[int, str]] = {
    HTTPStatus.UNAUTHORIZED: "You are not signed in, or your session has ended.",
    HTTPStatus.NOT_FOUND: "There is no page with this address.",
}
"""Of problems whose details are for programs: as those of static/js/api.js."""


def _find_suggestion(detail: str) -> str:
    """Return the name of the job that a problem suggests; empty without one."""
    found = re.search(r"Did you mean ([\w.-]*\w)\?", detail)
    return found[1] if found else ""


def error_page_response(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> HTMLResponse:
    """Return a page with the status and the detail of a problem, and a link to the overview.

    While the store is unavailable: the page as it was last shown, if it is known; otherwise a page that is loaded again
    until the store is available.
    """
    since = record_failure(request) if status == HTTPStatus.SERVICE_UNAVAILABLE else None
    known = recall(request, detail, since) if since is not None else None
    html = known or render_page(
        "error.html",
        request,
        request.app.state.services,
        title=reason_phrase(status),
        detail=for_people(detail) or _SENTENCES.get(status, "This request could not be answered."),
        suggestion=_find_suggestion(detail) if status == HTTPStatus.NOT_FOUND else "",
        is_missing=status == HTTPStatus.NOT_FOUND,
        since=since,
    )
    return HTMLResponse(html, status, {**(headers or {}), "Vary": "Accept"})
