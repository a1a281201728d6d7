"""What a browser shows a page in: colours, height of rows and time zone, in cookies. The form of the header sets them.

The form works without a script. Links of a page carry the function key of its request, as a browser sends no key
header.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from fastapi import Query, Request
from fastapi.responses import RedirectResponse, Response

from scheduler.api.dashboard.rendering.paths import DASHBOARD_PATH
from scheduler.api.routing import FUNCTION_KEY, ApiRouter
from scheduler.api.scopes import SIGN_IN_PATH


def find_safe_target(path: str) -> str:
    """Return a path of this API, else the overview: a link must not lead to another site by this one's forms."""
    is_own = path.startswith("/api/") and "\\" not in path and path.isprintable() and path != SIGN_IN_PATH
    return path if is_own else DASHBOARD_PATH


def make_link(request: Request) -> Callable[..., str]:
    """Return a function that makes a link of a path and its query: `link("/api/runs", job="x")`."""
    key = request.query_params.get(FUNCTION_KEY)

    def link(path: str, **query: str) -> str:
        pairs = query | ({FUNCTION_KEY: key} if key else {})
        if not pairs:
            return path
        return f"{path}{'&' if '?' in path else '?'}{urlencode(pairs)}"

    return link


PREFERENCES_PATH: Final = "/api/dashboard/preferences"
THEMES: Final = ("auto", "light", "dark")
"""`auto`: as the browser prefers."""
ROWS: Final = ("compact", "comfortable")
_THEME_COOKIE: Final = "scheduler_theme"
_ROWS_COOKIE: Final = "scheduler_rows"
_ZONE_COOKIE: Final = "scheduler_zone"
_MAX_AGE_S: Final = 365 * 86400
_MAX_ZONE_LENGTH: Final = 64

router = ApiRouter(in_schema=False, by_tag=True)


@dataclass(frozen=True, slots=True)
class Preferences:
    """`zone_name`: of the IANA database, or `UTC`."""

    theme: str = "auto"
    zone_name: str = "UTC"
    zone: tzinfo = UTC
    rows: str = "compact"


def find_preferences(request: Request) -> Preferences:
    """Return the preferences of a request. An unknown value is ignored."""
    theme = request.cookies.get(_THEME_COOKIE, "")
    name = request.cookies.get(_ZONE_COOKIE, "")
    rows = request.cookies.get(_ROWS_COOKIE, "")
    zone = _find_zone(name)
    return Preferences(
        theme if theme in THEMES else "auto",
        name if zone is not None else "UTC",
        zone or UTC,
        rows if rows in ROWS else ROWS[0],
    )


@router.read(PREFERENCES_PATH)
async def set_preferences(
    request: Request,
    theme: Annotated[str, Query(max_length=10)] = "",
    zone: Annotated[str, Query(max_length=_MAX_ZONE_LENGTH)] = "",
    rows: Annotated[str, Query(max_length=20)] = "",
    next: Annotated[str, Query(max_length=2000)] = "",
) -> Response:
    """Store preferences in cookies, and show the page again that had the form. Unknown values are ignored.

    A GET, so that a function key that allows reading is sufficient.
    """
    response = RedirectResponse(make_link(request)(find_safe_target(next)), HTTPStatus.SEE_OTHER)
    if theme in THEMES:
        _set_cookie(response, _THEME_COOKIE, theme)
    if rows in ROWS:
        _set_cookie(response, _ROWS_COOKIE, rows)
    if _find_zone(zone) is not None:
        _set_cookie(response, _ZONE_COOKIE, zone)
    return response


def _set_cookie(response: Response, name: str, value: str) -> None:
    response.set_cookie(name, value, max_age=_MAX_AGE_S, path="/api", httponly=True, samesite="lax")


def _find_zone(name: str) -> tzinfo | None:
    if name == "UTC":
        return UTC
    if not name or len(name) > _MAX_ZONE_LENGTH:
        return None
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):  # not a name of a zone
        return None
