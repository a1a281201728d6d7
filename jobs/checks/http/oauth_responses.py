"""What a token endpoint answered: a token, or why there is none (RFC 6749, sections 5.1 and 5.2). Called by oauth.py.

Pure. Its `error_description` is never repeated: it is free text, and some endpoints quote what they were sent.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import Any

from jobs.checks.errors import TokenResponseError

DEFAULT_TOKEN_LIFETIME = 300.0
"""Seconds that a token is used whose answer does not say how long it is good."""

LONGEST_TOKEN_LIFETIME = 24 * 3600.0
"""Seconds that a token is used at most, whatever the answer says."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
_CODE = re.compile(r"[a-z]{1,30}(_[a-z]{1,30}){0,4}")
_ENTRA_CODE = re.compile(r"\bAADSTS[0-9]{4,8}\b")

_HINTS = {
    "invalid_client": "it does not know the client, or not with this secret: look at client_id and client_secret",
    "invalid_grant": "look whether the client may use client credentials",
    "invalid_request": "it misses something in the request: look at scope, audience and style",
    "invalid_scope": "look at scope, and at what was granted to the client",
    "invalid_target": "look at audience",
    "access_denied": "look at audience, and at what was granted to the client",
    "unauthorized_client": "the client may not use client credentials: grant it that",
    "unsupported_grant_type": "it gives no tokens for client credentials: look at token_url",
}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """`lives`: seconds from now."""

    value: str
    lifetime_s: float


def parse_token_response(status: int, body: bytes) -> AccessToken:
    """The token in an answer. Raises TokenResponseError."""
    document = _parse_object(body)
    if status != 200:
        raise _response_error(status, document)
    if document is None:
        raise TokenResponseError("it answered 200 with something that is no JSON object: look at token_url")
    # Some answer 200 also with an error.
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
            f"it answered {status}: a redirect, which the client's secret does not follow; "
            "write its final place as token_url"
        )
    document, refused = document or {}, status == 401
    code = _code(document.get("error"))
    if not code:
        hint = "it is down, or has too much to do" if status >= 500 or status == 429 else "look at token_url"
        return TokenResponseError(
            f"it answered {status} without an error code of OAuth 2: {hint}", is_client_rejected=refused
        )
    entra = _ENTRA_CODE.search(str(document.get("error_description", ""))[:2000])
    told = f"it answered {status} {code}{f' ({entra[0]})' if entra else ''}"
    told += f"; {_HINTS[code]}" if code in _HINTS else ""
    return TokenResponseError(told, is_client_rejected=refused or code == "invalid_client")


def _parse_object(body: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _code(value: Any) -> str:
    """A code that may be repeated; empty if it is none, and so might be anything."""
    return value if isinstance(value, str) and _CODE.fullmatch(value) else ""


def _type_text(value: Any) -> str:
    code = _code(value.lower()) if isinstance(value, str) else ""
    return f"the type {code}" if code else "an unknown type"


def _lifetime(value: Any) -> float:
    """Some write the number as a text; and what is no time at all counts as if it were left out."""
    try:
        seconds = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        seconds = 0.0
    if math.isnan(seconds) or seconds <= 0:
        return DEFAULT_TOKEN_LIFETIME
    return min(seconds, LONGEST_TOKEN_LIFETIME)
