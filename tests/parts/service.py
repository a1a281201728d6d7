"""What the played services of ingestion share: failures on request."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

from tests.parts.http_server import Answer, HttpServer, Request


class Service(HttpServer):
    """A service that refuses or is down on request."""

    down = False
    """While True every request's connection is reset."""

    _refusal: Answer | None = None
    _refusals_left: int | None = None

    def refuse_with(self, status: int, *, times: int | None = None, headers: Mapping[str, str] | None = None) -> None:
        """Answer with this status, for the next `times` requests or until `recover`."""
        self._refusal = Answer.of_json(self.error_body(status), status)
        self._refusal = Answer(status, {**self._refusal.headers, **(headers or {})}, self._refusal.body)
        self._refusals_left = times

    def recover(self) -> None:
        self._refusal = None
        self.down = False

    def error_body(self, status: int) -> object:
        """The body that this service sends with an error's status."""
        return {"errors": [f"refused with {status}, as the test wants it"]}

    @abstractmethod
    def handle(self, request: Request) -> Answer:
        """The answer of a service in order."""

    def answer(self, request: Request) -> Answer:
        if self.down:
            return Answer(reset=True)
        if self._refusal is None or self._refusals_left == 0:
            return self.handle(request)
        if self._refusals_left is not None:
            self._refusals_left -= 1
        return self._refusal
