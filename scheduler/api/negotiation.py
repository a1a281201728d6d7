"""What a client accepts (RFC 9110, section 12.5): media types, gzip, and pages of problems.

A browser lists text/html in its Accept header: it gets a problem as a page, where the app has pages. Any other client
gets JSON.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Protocol
from zlib import compressobj

from starlette.requests import Request
from starlette.responses import Response


class ProblemPageRenderer(Protocol):
    """Renders a problem as an HTML page, with its status and these headers."""

    def __call__(
        self, request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
    ) -> Response: ...


def register_problem_pages(app: Any, render: ProblemPageRenderer) -> None:
    """Let a Starlette app show problems as pages. The dashboard registers its renderer: the API does not know it."""
    app.state.render_problem_page = render


def create_problem_page(
    request: Request, status: int, detail: str, headers: Mapping[str, str] | None = None
) -> Response | None:
    """Return the problem as a page; None for a client that does not prefer HTML, or in an app without pages."""
    if not accepts_html(request):
        return None
    render: ProblemPageRenderer | None = getattr(request.app.state, "render_problem_page", None)
    return None if render is None else render(request, status, detail, headers)


def accepts_html(request: Request) -> bool:
    """Whether the Accept header lists text/html with a higher weight than JSON."""
    qualities = _media_weights(request.headers.get("accept", ""))
    html = qualities.get("text/html", 0.0)
    json = max(qualities.get("application/json", 0.0), qualities.get("application/problem+json", 0.0))
    return html > json


def find_best(header: str, types: Iterable[str]) -> float:
    """Return the greatest weight that an Accept header gives one of these media types or ranges; 0 without them.

    `types`: as `text/plain`, or with a parameter that must not differ: `a/b;version=1.0.0` matches `a/b` as well.
    """
    expected = [_parse(each) for each in types]
    weights = [
        weight
        for name, parameters, weight in _items(header)
        for other, required in expected
        if name == other and all(parameters.get(key, value) == value for key, value in required.items())
    ]
    return max(weights, default=0.0)


def accepts_gzip(header: str) -> bool:
    """Return whether an Accept-Encoding header names gzip."""
    return find_best(header, ("gzip",)) > 0


def _items(header: str) -> Iterator[tuple[str, Mapping[str, str], float]]:
    for item in header.split(","):
        name, parameters = _parse(item)
        try:
            weight = float(parameters.get("q", "1"))
        except ValueError:
            weight = 0.0
        yield name, parameters, weight


def _parse(item: str) -> tuple[str, Mapping[str, str]]:
    name, *parts = (part.strip() for part in item.split(";"))
    pairs = (part.partition("=") for part in parts)
    return name.lower(), {key.strip().lower(): value.strip().strip('"') for key, _, value in pairs}


def _media_weights(accept: str) -> dict[str, float]:
    """Return the weight (RFC 9110) of each media range; 0 for an invalid weight."""
    weights: dict[str, float] = {}
    for item in accept.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weights[name] = float(weight)
        except ValueError:
            weights[name] = 0.0
    return weights


_LEVEL: Final = 1
"""15 MB take 0.1 s, and a twentieth of the bytes remain."""
_GZIP_WINDOW: Final = 31
"""With the header of gzip instead of zlib's."""
_IN_THREAD: Final = 100_000
"""Bytes from which compression leaves the event loop."""


async def compress(body: bytes) -> bytes:
    """Return the body in gzip."""
    return await asyncio.to_thread(_compress, body) if len(body) > _IN_THREAD else _compress(body)


def _compress(body: bytes) -> bytes:
    compressor = compressobj(_LEVEL, wbits=_GZIP_WINDOW)
    return compressor.compress(body) + compressor.flush()
