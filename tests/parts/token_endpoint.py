"""A token endpoint on loopback: OAuth 2 client credentials (RFC 6749, section 4.4), strict about its clients.

async with TokenEndpoint() as endpoint:          # options: those of HttpServer
    endpoint.url + "/token"
    endpoint.clients["probe"] = "an0ther-secret" # rotated
    endpoint.instead = Answer(503)               # for every request
    endpoint.lives = 60                          # expires_in; None leaves it out
    endpoint.given                               # the tokens so far
    endpoint.forms                               # of each request, decoded
"""

from __future__ import annotations

import base64
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from tests.parts.http_server import Answer, HttpServer, Request


class TokenEndpoint(HttpServer):
    """Gives `token-1`, `token-2`, ... to the clients that it knows."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.clients = {"probe": "cl1ent-secret"}
        self.lives: Any = 3600
        self.instead: Answer | None = None
        self.delay = 0.0
        self.more: dict[str, Any] = {}
        self.given: list[str] = []

    @property
    def forms(self) -> list[dict[str, str]]:
        return [dict(parse_qsl(request.body.decode(), strict_parsing=True)) for request in self.requests]

    def answer(self, request: Request) -> Answer:
        if self.instead is not None:
            return self.instead
        form = dict(parse_qsl(request.body.decode()))
        if request.method != "POST" or form.get("grant_type") != "client_credentials":
            return Answer.of_json({"error": "unsupported_grant_type"}, 400)
        client, secret = _client(request, form)
        if self.clients.get(client) != secret:
            error = {"error": "invalid_client", "error_description": f"AADSTS7000215: wrong secret {secret!r}"}
            return Answer.of_json(error, 401)
        self.given.append(f"token-{len(self.given) + 1}")
        life = {} if self.lives is None else {"expires_in": self.lives}
        answer = Answer.of_json({"access_token": self.given[-1], "token_type": "Bearer", **life, **self.more})
        return Answer(answer.status, answer.headers, answer.body, delay=self.delay)


def _client(request: Request, form: dict[str, str]) -> tuple[str, str]:
    kind, _, encoded = request.headers.get("authorization", "").partition(" ")
    if kind == "Basic":
        client, _, secret = base64.b64decode(encoded).decode().partition(":")
        return unquote_plus(client), unquote_plus(secret)
    return form.get("client_id", ""), form.get("client_secret", "")
