"""The sign-in page at /api/dashboard/sign-in, where a user enters an API key, and the button that signs out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from scheduler.api.access import INVALID_CHALLENGE
from scheduler.api.dashboard.rendering.formatting import for_people
from scheduler.api.dashboard.rendering.page import render_page
from scheduler.api.dashboard.rendering.preferences import find_safe_target
from scheduler.api.middleware.request_limits import is_suspect
from scheduler.api.middleware.requests import find_client_address
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.api.scopes import SIGN_IN_PATH, SIGN_OUT_PATH
from scheduler.authentication.port import (
    Authenticated,
    AuthenticationError,
    AuthenticationMode,
    AuthenticationUnavailable,
    InvalidCredential,
    RequestCredentials,
)
from scheduler.features.access.routes import end_cookie_session, record_refused_session, start_cookie_session
from scheduler.services import Services

_FORM = "application/x-www-form-urlencoded"
_NO_KEY = "This is not an API key: paste the whole key that was shown when it was created."
_CHALLENGE = {"WWW-Authenticate": INVALID_CHALLENGE}

router = ApiRouter(accepts_unknown_query=True, in_schema=False)


@router.sign_in("GET", SIGN_IN_PATH)
async def show_sign_in(request: Request, services: ServicesDep) -> Response:
    """Show the form."""
    target = find_safe_target(request.query_params.get("next", ""))
    if services.authentication.mode is not AuthenticationMode.OWN:
        return RedirectResponse(target, HTTPStatus.SEE_OTHER)
    return _page(request, services, target)


@router.sign_in("POST", SIGN_IN_PATH, accepts=(_FORM,))
async def sign_in(request: Request, services: ServicesDep) -> Response:
    """Start a session with the API key of the form."""
    form = _parse_form((await request.body()).decode("utf-8", "replace"))
    target = find_safe_target(form.get("next", [""])[0])
    try:
        caller = await _authenticate(request, services, form.get("key", [""])[0].strip())
    except AuthenticationError as error:
        await record_refused_session(request, services, error)
        is_unavailable = isinstance(error, AuthenticationUnavailable)
        status = HTTPStatus.SERVICE_UNAVAILABLE if is_unavailable else HTTPStatus.UNAUTHORIZED
        return _page(request, services, target, for_people(error.detail) or _NO_KEY, status)
    response = RedirectResponse(target, HTTPStatus.SEE_OTHER)
    await start_cookie_session(request, services, caller, response)
    return response


@router.sign_in("POST", SIGN_OUT_PATH, accepts=(_FORM,))
async def sign_out(request: Request, services: ServicesDep) -> Response:
    """End the session, and show the sign-in page."""
    response = RedirectResponse(SIGN_IN_PATH, HTTPStatus.SEE_OTHER)
    await end_cookie_session(request, services, response)
    return response


def _parse_form(text: str) -> Mapping[str, Sequence[str]]:
    """Return the fields; none of a form with more than this page has."""
    try:
        return parse_qs(text, max_num_fields=10)
    except ValueError:
        return {}


async def _authenticate(request: Request, services: Services, key: str) -> Authenticated:
    headers = {"authorization": [f"Bearer {key}"]} if key else {}
    credentials = RequestCredentials(
        lambda name: headers.get(name, []),
        find_client_address(request.scope),
        is_suspect=is_suspect(request.scope),
    )
    caller = await services.authentication.authenticator.authenticate(credentials)
    if caller is None:
        raise InvalidCredential("Enter an API key.", reason="no_credential", way="")
    return caller


def _page(
    request: Request, services: Services, target: str, error: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HTMLResponse:
    html = render_page(
        "sign_in.html",
        request,
        services,
        target=target,
        error=error,
    )
    return HTMLResponse(html, status, _CHALLENGE if status is HTTPStatus.UNAUTHORIZED else None)
