"""The ways to authenticate, and which of them an operation accepts. Called by scheduler.api.description.document."""

from __future__ import annotations

from typing import Any, Final

from scheduler.api.scopes import Scope

SECURITY_SCHEMES: Final[dict[str, dict[str, Any]]] = {
    "functionKey": {
        "type": "apiKey",
        "in": "header",
        "name": "x-functions-key",
        "description": "A key of the Functions host, which has one for each scope.",
    },
    "apiKey": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "sch_...",
        "description": "An API key of the scheduler. It has a role and can be limited to tags and addresses.",
    },
    "apiKeyHeader": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same API key, for clients that cannot set `Authorization`.",
    },
    "entra": {
        "type": "http",
        "scheme": "bearer",
        "bearerFormat": "JWT",
        "description": "An access token of Microsoft Entra ID. An app role of the token is the role.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "scheduler_session",
        "description": "The session of a browser that has signed in.",
    },
}


def security_of(scope: Scope, *, is_open: bool) -> list[dict[str, list[str]]]:
    """Return the alternatives that an operation accepts. Empty: none is required; a ping has its token in the path.

    `is_open`: the host serves only clients on loopback, and accepts requests without a credential as well.
    """
    if scope in (Scope.PUBLIC, Scope.PING, Scope.SIGN_IN):
        return []
    alternatives = [{name: [scope.value]} for name in SECURITY_SCHEMES]
    return [*alternatives, {}] if is_open else alternatives
