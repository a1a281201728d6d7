"""Sends HTTP requests with the standard library. Redirects are not followed: the requests contain API keys."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

MAX_BODY = 64 * 1024 * 1024
"""Bytes of a response that are read."""
REQUEST_TIMEOUT = 10.0
"""Seconds for each wait of a request."""


class NoAnswer(Exception):
    """No response: the connection failed, or the response is unreadable."""


@dataclass(frozen=True)
class Response:
    """A response of any status."""

    status: int
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON. Raises NoAnswer."""
        try:
            return json.loads(self.body)
        except ValueError:
            raise NoAnswer(f"status {self.status} without JSON: {self.excerpt()}") from None

    def excerpt(self) -> str:
        """Return the start of the body in one line."""
        text = " ".join(self.body[:400].decode(errors="replace").split())
        return "".join(one if one.isprintable() else "?" for one in text)[:200]


class Http(Protocol):
    """Sends one request."""

    def send(self, method: str, url: str, headers: Mapping[str, str], timeout: float = REQUEST_TIMEOUT) -> Response:
        """Return the response. Raises NoAnswer."""
        ...


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_arguments: Any, **_options: Any) -> None:
        return None


class UrllibHttp:
    """Each request has its own connection, so that a load balancer can choose another instance."""

    def __init__(self) -> None:
        self._opener = urllib.request.build_opener(_NoRedirect)

    def send(self, method: str, url: str, headers: Mapping[str, str], timeout: float = REQUEST_TIMEOUT) -> Response:
        body = b"" if method == "POST" else None
        request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)
        try:
            with self._opener.open(request, timeout=timeout) as answer:
                return Response(answer.status, answer.read(MAX_BODY))
        except urllib.error.HTTPError as error:
            with error:
                return Response(error.code, error.read(MAX_BODY))
        except (OSError, http.client.HTTPException) as error:
            reason = error.reason if isinstance(error, urllib.error.URLError) else error
            raise NoAnswer(f"{type(error).__name__}: {reason}") from None
