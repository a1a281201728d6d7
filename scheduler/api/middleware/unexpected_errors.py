"""Answers 500 to errors without a handler. A middleware added by scheduler.api.app."""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scheduler.api.problems import problem_response
from scheduler.api.scopes import mask_token

_log = logging.getLogger("scheduler.api")


class UnexpectedErrors:
    """Answers 500 to an error without a handler, and logs it.

    A middleware, because that of Starlette is outside of all others (its responses lack the security headers) and
    raises the error again, which replaces the response in the Functions host.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def watched(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:
            _log.exception("%s %s failed", scope.get("method"), mask_token(str(scope.get("path"))))
            if has_started or scope["type"] != "http":
                raise
            answer = problem_response(
                scope["path"],
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The scheduler failed to process the request. The log contains the error.",
            )
            await answer(scope, receive, send)
