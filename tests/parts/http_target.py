"""A well-behaved HTTP target on loopback whose answers a test scripts. For the others see bad_servers.

    async with HttpTarget() as target:                   # or HttpTarget(tls="good"), (keep_alive=False), (host="::1")
        target.on("/health", 503, headers={"Retry-After": "2"}, body={"status": "down"}, delay=0.05)
        target.on("/health", 204, method="HEAD")         # an answer for one method wins over one for all
        target.sequence("/flaky", 503, 503, Answer(200, body=b"up"))    # the last one repeats
        target.on_call("/echo", lambda request: Answer(body=request.body))
        gate = target.hold("/slow")                      # answers only after gate.set()
        ... target.url ...
        target.requests_to("/health")[0].headers["authorization"]
        target.last.body

Everything unscripted is answered 200 `{"status": "ok"}`. Of scripts for the same path the latest counts. Request,
Answer, counters and waiting: see http_server. TLS kinds: see tls.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tests.parts.http_server import Answer, HttpServer, Request

__all__ = ["Answer", "HttpTarget", "Request"]

Handler = Callable[[Request], Answer]

OK = Answer.of_json({"status": "ok"})


class HttpTarget(HttpServer):
    """A target with scripted answers."""

    def __init__(self, **options: Any) -> None:
        """`options`: those of HttpServer."""
        super().__init__(**options)
        self._routes: dict[tuple[str | None, str], Handler] = {}

    def on(
        self,
        path: str,
        status: int = 200,
        *,
        headers: Mapping[str, str | list[str]] | None = None,
        body: bytes | str | Mapping[str, object] | list[object] = b"",
        delay: float = 0.0,
        method: str | None = None,
        **more: Any,
    ) -> None:
        """Always this answer; `more`: further fields of Answer. A mapping or list as body is sent as JSON."""
        headers = dict(headers or {})
        if isinstance(body, (Mapping, list)):
            headers.setdefault("content-type", "application/json")
            body = json.dumps(body)
        encoded = body.encode() if isinstance(body, str) else body
        answer = Answer(status, headers, encoded, delay, **more)
        self.on_call(path, lambda _: answer, method=method)

    def sequence(self, path: str, *answers: Answer | int, method: str | None = None) -> None:
        """One answer after the other, then the last one repeatedly; an int is a status."""
        left = [Answer(answer) if isinstance(answer, int) else answer for answer in answers]
        self.on_call(path, lambda _: left.pop(0) if len(left) > 1 else left[0], method=method)

    def hold(self, path: str, answer: Answer = OK, *, method: str | None = None) -> asyncio.Event:
        """This answer, but only once the returned event is set."""
        gate = asyncio.Event()
        held = Answer(answer.status, answer.headers, answer.body, gate=gate)
        self.on_call(path, lambda _: held, method=method)
        return gate

    def on_call(self, path: str, handler: Handler, *, method: str | None = None) -> None:
        """The answer of the handler."""
        self._routes[method, path] = handler

    def requests_to(self, path: str) -> Sequence[Request]:
        return [request for request in self.requests if request.path == path]

    @property
    def last(self) -> Request:
        return self.requests[-1]

    def answer(self, request: Request) -> Answer:
        specific, general = (request.method, request.path), (None, request.path)
        handler = self._routes.get(specific) or self._routes.get(general)
        return OK if handler is None else handler(request)
