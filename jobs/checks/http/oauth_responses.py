"""Parse the response of a token endpoint: a token or an error (RFC 6749, sections 5.1 and 5.2). Called by oauth.py.
Pure.

Never repeats its `error_description`: it is free text, and some endpoints quote the request in it.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from jobs.checks.errors import TokenResponseError

DEFAULT_TOKEN_LIFETIME = 300.0
"""Seconds for which a token without `expires_in` is used."""

LONGEST_TOKEN_LIFETIME = 24 * 3600.0
"""Seconds for which any token is used at most."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
_CODE = re.compile(r"[a-z]{1,30}(_[a-z]{1,30}){0,4}")
_ENTRA_CODE = re.compile(r"\bAADSTS[0-9]{4,8}\b")

_HINTS = {
    "invalid_client": "it does not know the client, or not with this secret: check client_id and client_secret",
    "invalid_grant": "check that the client may use client credentials",
    "invalid_request": "the request lacks a parameter: check scope, audience and style",
    "invalid_scope": "check scope, and the permissions of the client",
    "invalid_target": "check audience",
    "access_denied": "check audience, and the permissions of the client",
    "unauthorized_client": "the client is not allowed to use client credentials: allow that grant",
    "unsupported_grant_type": "it issues no tokens for client credentials: check token_url",
}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`lifetime_s`: seconds from now."""

    value: str
    lifetime_s: float


def parse_token_response(status: int, body: bytes) -> AccessToken:
    """Return the token of a response. Raises TokenResponseError."""
    document = _parse_object(body)
    if status != 200:
        raise _response_error(status, document)
    if document is None:
        raise TokenResponseError("it answered 200 with something that is not a JSON object: check token_url")
    # Some endpoints answer 200 with an error, too.
    if "access_token" not in document and "error" in document:
        raise _response_error(status, document)
    value = document.get("access_token")
    if not isinstance(value, str) or not _TOKEN.fullmatch(value):
        raise TokenResponseError("it answered 200 without an access_token that a header can carry")
    kind = document.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenResponseError(f"its token is of {_type_text(kind)}, and only Bearer can be used")
    return AccessToken(value, _lifetime(document.get("expires_in")))


def _response_error(status: int, document: dict[str, Any] | None) -> TokenResponseError:
    if 300 <= status < 400:
        return TokenResponseError(
            f"it answered {status}: a redirect, to which the client's secret is not sent; "
            "set token_url to the final URL"
        )
    document, is_client_rejected = document or {}, status == 401
    code = _code(document.get("error"))
    if not code:
        hint = "it is down or overloaded" if status >= 500 or status == 429 else "check token_url"
        return TokenResponseError(
            f"it answered {status} without an error code of OAuth 2: {hint}", is_client_rejected=is_client_rejected
        )
    entra = _ENTRA_CODE.search(str(document.get("error_description", ""))[:2000])
    message = f"it answered {status} {code}{f' ({entra[0]})' if entra else ''}"
    message += f"; {_HINTS[code]}" if code in _HINTS else ""
    return TokenResponseError(message, is_client_rejected=is_client_rejected or code == "invalid_client")


def _parse_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _code(value: Any) -> str:
    """Return an error code that may be repeated; empty if the text could be anything."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _type_text(value: Any) -> str:
    code = _code(value.lower()) if isinstance(value, str) else ""
    return f"the type {code}" if code else "an unknown type"


def _lifetime(value: Any) -> float:
    """Read a number, also as a text. Anything else counts as missing."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        seconds = 0.0
    if math.isnan(seconds) or seconds <= 0:
        return DEFAULT_TOKEN_LIFETIME
    return min(seconds, LONGEST_TOKEN_LIFETIME)
