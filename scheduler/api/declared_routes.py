"""What a route declares, and how a request finds its route: scope, body, and whether tags limit what it shows.

Made by scheduler.api.routing, read where access and bodies are checked. Imports neither FastAPI nor pydantic, because a
cold process imports it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from starlette.routing import compile_path

from jobs.problems import make_printable
from scheduler.api.scopes import Scope

JSON_TYPE: Final = "application/json"
MERGE_PATCH_TYPE: Final = "application/merge-patch+json"
MAX_BODY_BYTES: Final = 64 * 1024
"""Bytes of a body, unless its route declares more."""
BYTES_PER_MEMBER: Final = 32
"""A JSON body can have one member or item for so many bytes of its limit: 2,048 in 64 KiB."""


@dataclass(frozen=True, slots=True)
class BodyRule:
    """The body that a route accepts."""

    accepts: tuple[str, ...] = (JSON_TYPE,)
    max_bytes: int = MAX_BODY_BYTES

    @property
    def max_members(self) -> int:
        return self.max_bytes // BYTES_PER_MEMBER

    def find_length_error(self, lengths: Sequence[str]) -> str:
        """Return why the values of Content-Length are rejected; empty if they are accepted."""
        for text in lengths:
            digits = text.strip()
            if digits.isascii() and digits.isdigit() and (len(digits) > 15 or int(digits) > self.max_bytes):
                return self.too_large_text(f"{digits[:30]} bytes")
        return ""

    def can_be_large(self, lengths: Sequence[str]) -> bool:
        """Whether the body can exceed MAX_BODY_BYTES."""
        declared = [int(text) for text in lengths if text.strip().isdecimal()]
        return self.max_bytes > MAX_BODY_BYTES and not (declared and max(declared) <= MAX_BODY_BYTES)

    def too_large_text(self, size: str) -> str:
        return f"The body is too large: at most {self.max_bytes} bytes are allowed, found {size}."

    def find_type_error(self, types: Sequence[str], encodings: Sequence[str]) -> str:
        """Return why Content-Type or Content-Encoding is rejected; empty if they are accepted."""
        if coded := [each for each in encodings if each.strip().lower() not in ("", "identity")]:
            return f"Content-Encoding {make_printable(coded[0], 60)!r} is not supported. Send the body uncompressed."
        expected = f"Send {' or '.join(self.accepts)}."
        if not types:
            return f"The request has a body, but no Content-Type. {expected}"
        if len(types) == 1 and types[0].partition(";")[0].strip().lower() in self.accepts:
            return ""
        return f"Content-Type {make_printable(', '.join(types), 100)!r} is not supported by this route. {expected}"


class RouteBody(NamedTuple):
    """The rule of a route."""

    method: str
    path: str
    rule: BodyRule


class BodyRules:
    """The rules of all routes. Only routes that differ from the default cost a comparison."""

    def __init__(self, routes: Iterable[RouteBody] = ()) -> None:
        self._default = BodyRule()
        self._special = [
            (route.method, compile_path(route.path)[0], route.rule) for route in routes if route.rule != self._default
        ]

    def find(self, method: str, path: str) -> BodyRule:
        return next(
            (rule for each, pattern, rule in self._special if each == method and pattern.match(path)), self._default
        )


class DeclaredRoute(NamedTuple):
    """A route with its scope and the body that it accepts.

    `by_tag`: for a caller that is limited to tags, other jobs do not exist on this route. Such a caller must not call
    any other route.
    """

    scope: Scope
    method: str
    path: str
    body: BodyRule = BodyRule()
    by_tag: bool = False


class RouteTable:
    """The declared routes in the order in which the router tries them."""

    def __init__(self, routes: Iterable[DeclaredRoute]) -> None:
        self._routes: defaultdict[str, list[tuple[str, re.Pattern[str], DeclaredRoute]]] = defaultdict(list)
        """By method, each with the start of its path up to the first parameter, which excludes most of them."""
        for route in routes:
            start = route.path.partition("{")[0]
            self._routes[route.method].append((start, compile_path(route.path)[0], route))

    def find(self, method: str, path: str) -> DeclaredRoute | None:
        """Return the route of a request; None if no declaration matches. HEAD is served as GET."""
        method = "GET" if method == "HEAD" else method
        for start, pattern, route in self._routes.get(method, ()):
            if path.startswith(start) and pattern.match(path):
                return route
        return None
