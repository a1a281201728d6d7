"""Cache requests of targets without secrets: from run to run only the run's id changes. Used by jobs.checks.kinds.http.

There may be ten thousand of them, so equal parts are shared: the base URL, and all of the head except its first line.

perf: `run-cost`, 15 % of a run; 5 of them because httpx builds URL and headers only on demand (decision 27).
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from sys import intern

import httpx

from jobs.checks.http_transport.options import RequestOptions, request_options
from jobs.checks.http_transport.transport import encode_head
from jobs.targets import HttpTarget

RUN_ID_PLACEHOLDER = "7c9e6679f7c84b2aa2d4e35f0c1b8d60"
"""In the head of a cached request, in place of the run's id."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class _SharedHead:
    """The parts that many requests share.

    `base_url`: without path and query; `origin`: the same as text, without the slash. `before`, `after`: the head below
    its first line, around the run's id; `after` is empty if the head has no run id.
    """

    base_url: httpx.URL
    origin: str
    before: bytes
    after: bytes


@dataclass(frozen=True, slots=True)
class CachedRequest:
    """A request without the run's id. `path`: with the query."""

    method: str
    path: bytes
    content: bytes
    shared: _SharedHead

    @property
    def base_url(self) -> httpx.URL:
        """The URL without path and query."""
        return self.shared.base_url

    def build(self, run_id: str, trace_parent: str, options: RequestOptions) -> httpx.Request:
        """Return the request for one attempt of a run. `trace_parent`: a header, or empty."""
        shared = self.shared
        first = b"%s %s HTTP/1.1\r\n%s" % (self.method.encode("ascii"), self.path, shared.before)
        head = first + run_id.encode() + shared.after if shared.after else first
        if trace_parent:
            # Insert it before the empty line at the end.
            head = b"%straceparent: %s\r\n\r\n" % (head[:-2], trace_parent.encode("ascii"))
        options.head, options.path = head, self.path
        options.base_url, options.origin = shared.base_url, shared.origin
        return _LazyRequest(self, options)


def origin_text(url: httpx.URL) -> str:
    """Return scheme, host and port, such as `https://checkout.internal`."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"


class _LazyRequest(httpx.Request):
    """An httpx request that builds its URL and headers only when they are read: the head contains them already."""

    def __init__(self, cached: CachedRequest, options: RequestOptions) -> None:
        # Not httpx's __init__, which copies the URL and the headers: that takes longer than sending them.
        self.method = cached.method
        self.extensions = options.as_extensions()
        self.stream = httpx.ByteStream(cached.content)
        self._content = cached.content

    @cached_property
    def url(self) -> httpx.URL:  # type: ignore[override]
        options = request_options(self)
        assert options.base_url is not None
        return options.base_url.copy_with(raw_path=options.path)

    @cached_property
    def headers(self) -> httpx.Headers:  # type: ignore[override]
        lines = request_options(self).head.split(b"\r\n")[1:-2]
        return httpx.Headers([(name, value) for name, _, value in (line.partition(b": ") for line in lines)])


class _TargetRef(weakref.ref[HttpTarget]):
    """A weak reference to a target, with its cached request."""

    __slots__ = ("key", "request")
    key: int
    request: CachedRequest


class RequestCache:
    """Requests by target, for the life of the target object: a changed job has a new one."""

    def __init__(self) -> None:
        self._by_id: dict[int, _TargetRef] = {}
        self._forget = _forget_callback(self._by_id)
        self._shared_heads: weakref.WeakValueDictionary[tuple[bytes, ...], _SharedHead] = weakref.WeakValueDictionary()

    def find(self, target: HttpTarget) -> CachedRequest | None:
        """Return the cached request of this target object."""
        found = self._by_id.get(id(target))
        return found.request if found is not None and found() is target else None

    def store(self, target: HttpTarget, request: httpx.Request) -> CachedRequest:
        """Cache the request of this target, which has RUN_ID_PLACEHOLDER for the run's id."""
        reference = _TargetRef(target, self._forget)
        reference.key = id(target)
        reference.request = self._make(request)
        self._by_id[reference.key] = reference
        return reference.request

    def _make(self, request: httpx.Request) -> CachedRequest:
        url = request.url
        head = encode_head(request.method, url.raw_path, request.headers.raw)
        before, _, after = head.partition(b"\r\n")[2].partition(RUN_ID_PLACEHOLDER.encode())
        key = (url.raw_scheme, url.netloc, before, after)
        shared = self._shared_heads.get(key)
        if shared is None:
            base_url = url.copy_with(raw_path=b"/")
            shared = self._shared_heads[key] = _SharedHead(base_url, origin_text(url), before, after)
        return CachedRequest(intern(request.method), url.raw_path, request.content, shared)


def _forget_callback(by_id: dict[int, _TargetRef]) -> Callable[[weakref.ref[HttpTarget]], None]:
    def forget(reference: weakref.ref[HttpTarget]) -> None:
        assert isinstance(reference, _TargetRef)
        by_id.pop(reference.key, None)

    return forget
