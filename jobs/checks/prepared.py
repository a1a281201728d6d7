"""Requests of targets that hold no secrets, made once: from run to run nothing of them changes but the run's id.

Called by http.py.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import httpx

from jobs.checks.transport import head_bytes
from jobs.targets import HttpTarget

MARK = "7c9e6679f7c84b2aa2d4e35f0c1b8d60"
"""Stands in the head of a request where the run's id will."""


@dataclass(slots=True)
class Prepared:
    """A request without the id of its run. `before`, `after`: the head around it; `after` is empty if there is none."""

    method: str
    url: httpx.URL
    content: bytes
    before: bytes
    after: bytes

    def request(self, run_id: str, extensions: dict[str, Any]) -> httpx.Request:
        """For one run."""
        head = self.before + run_id.encode() + self.after if self.after else self.before
        extensions["head"] = head
        return _Request(self, head, extensions)


class _Request(httpx.Request):
    """An httpx request whose headers are made for who looks at them: they stand in the head already."""

    def __init__(self, prepared: Prepared, head: bytes, extensions: dict[str, Any]) -> None:
        # Not httpx's own, which copies the URL and the headers: that takes longer than sending them.
        self.method = prepared.method
        self.url = prepared.url
        self.extensions = extensions
        self.stream = httpx.ByteStream(prepared.content)
        self._content = prepared.content
        self._head = head

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        lines = self._head.split(b"\r\n")[1:-2]
        return httpx.Headers([(name, value) for name, _, value in (line.partition(b": ") for line in lines)])


class PreparedRequests:
    """By target, for as long as it is there: a job that is changed has another one."""

    def __init__(self) -> None:
        self._by_id: dict[int, tuple[weakref.ref[HttpTarget], Prepared]] = {}

    def get(self, target: HttpTarget) -> Prepared | None:
        """What was prepared for this very target, if anything."""
        found = self._by_id.get(id(target))
        return found[1] if found is not None and found[0]() is target else None

    def add(self, target: HttpTarget, request: httpx.Request) -> Prepared:
        """Keep the request of this target, which has MARK for the run's id."""
        head = head_bytes(request.method, request.url.raw_path, request.headers.raw)
        before, _, after = head.partition(MARK.encode())
        prepared = Prepared(request.method, request.url, request.content, before, after)
        key, by_id = id(target), self._by_id
        by_id[key] = weakref.ref(target, lambda _: by_id.pop(key, None)), prepared
        return prepared
