"""Rendered pages that are cached: those that the tabs of a caller share, and each as it was last shown.

A page that many tabs leave open is rendered once. The page module states the facts of the page as a revision that costs
little. A page of the same revision is sent again, without reading and rendering. The time of the page alone is that of
its response.

While the store is unavailable, a page is sent as it was last shown. It is remembered for its address, the caller and
the preferences of the browser: no caller gets a page that another one was shown. The overview and the wall view know
their last state themselves.
"""

from __future__ import annotations

import asyncio
import gzip
import re
import struct
import zlib
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Final, NamedTuple

from fastapi import Request

from jobs.ports import Clock
from scheduler.api.dashboard.rendering.preferences import find_preferences
from scheduler.api.dashboard.rendering.templates import get_templates

CACHE_FACTOR: Final = 100
"""A page is sent for so many times as long as rendering it took, whatever changes: so it takes 1 % of a core."""
URGENT_CACHE_FACTOR: Final = 8
MAX_URGENT_SECONDS: Final = 0.5
"""The same for a change of what is urgent: a storm of such changes takes an eighth of a core, and each appears soon
although rendering takes long on a busy machine."""
MAX_THROTTLED_SECONDS: Final = 7.5
"""Longer than a tab waits until its next request, so that some of its requests get 304: a large page costs as much to
send to fifty tabs as to render."""
MAX_SHARED_SECONDS: Final = 15.0
"""For which a page is sent although the process knows of no change: another process may have run a job."""
MAX_SHARED_PAGES: Final = 16
"""Pages of those who see the same jobs, at the same time: each takes up to 1 MiB."""
_LEVEL: Final = 5
_RAW: Final = -15
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
_PAGE_TIME: Final = re.compile(r'<time id="page-time"[^>]*>[^<]*</time>')


class PageRevision(NamedTuple):
    """`facts`: a change of them appears as soon as rendering may cost it; one of `urgent` at once.

    `is_forced`: render the page in any case.
    """

    facts: object
    is_forced: bool = False
    urgent: object = None


class _PagePart(NamedTuple):
    """A part of the page, and its compressed form, which can follow that of another part."""

    text: bytes
    deflated: bytes


@dataclass(frozen=True, slots=True)
class SharedPage:
    """`head` and `tail`: what is before and after the time of the page."""

    etag: str
    head: _PagePart
    tail: _PagePart

    @staticmethod
    def create(html: str, etag: str) -> SharedPage:
        found = _PAGE_TIME.search(html)
        cut = (len(html), len(html)) if found is None else found.span()
        head, tail = html[: cut[0]].encode(), html[cut[1] :].encode()
        return SharedPage(etag, _PagePart(head, _deflate(head)), _PagePart(tail, _deflate(tail, is_last=True)))

    def body_at(self, now: datetime, zone: str) -> bytes:
        return self.head.text + _format_time(now, zone) + self.tail.text

    def gzip_at(self, now: datetime, zone: str) -> bytes:
        """Return the same in gzip, without compressing more than the time."""
        middle = _format_time(now, zone)
        checksum = zlib.crc32(self.tail.text, zlib.crc32(middle, zlib.crc32(self.head.text)))
        length = len(self.head.text) + len(middle) + len(self.tail.text)
        deflated = self.head.deflated + _deflate(middle) + self.tail.deflated
        return _GZIP_HEAD + deflated + struct.pack("<II", checksum, length & 0xFFFFFFFF)


@dataclass(frozen=True, slots=True)
class _Rendered:
    page: SharedPage
    revision: PageRevision
    ended: float
    took: float

    def is_valid(self, revision: PageRevision, now: float) -> bool:
        """Return whether the page can be sent for a revision. Times are of the monotonic clock, in seconds."""
        if revision.is_forced:
            return False
        age = now - self.ended
        if self.revision.urgent != revision.urgent:
            return age < min(URGENT_CACHE_FACTOR * self.took, MAX_URGENT_SECONDS)
        is_same = self.revision.facts == revision.facts and age < MAX_SHARED_SECONDS
        return is_same or age < min(CACHE_FACTOR * self.took, MAX_THROTTLED_SECONDS)


class SharedPages:
    """Of the callers that see the same jobs. Concurrent requests for a page share its rendering."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rendered: dict[Hashable, _Rendered] = {}
        self._tasks: dict[Hashable, asyncio.Task[SharedPage]] = {}

    @property
    def count(self) -> int:
        """Number of cached pages."""
        return len(self._rendered)

    async def get(
        self, key: Hashable, revision: PageRevision, render: Callable[[], Awaitable[SharedPage]]
    ) -> SharedPage:
        """Return the page. `key`: the address and all that differs between callers. Raises what `render` raises."""
        while True:
            found = self._rendered.get(key)
            if found is not None and found.is_valid(revision, self._clock.monotonic()):
                return found.page
            task = self._tasks.get(key)
            if task is not None:
                await asyncio.shield(task)  # it may have started before the change
                continue
            task = self._tasks[key] = asyncio.ensure_future(self._render(key, revision, render))
            return await asyncio.shield(task)

    async def _render(
        self, key: Hashable, revision: PageRevision, render: Callable[[], Awaitable[SharedPage]]
    ) -> SharedPage:
        try:
            began = self._clock.monotonic()
            page = await render()
            ended = self._clock.monotonic()
            self._store(key, _Rendered(page, revision, ended, ended - began))
            return page
        finally:
            del self._tasks[key]

    def _store(self, key: Hashable, rendered: _Rendered) -> None:
        self._rendered.pop(key, None)
        self._rendered[key] = rendered
        while len(self._rendered) > MAX_SHARED_PAGES:
            del self._rendered[next(iter(self._rendered))]
        asyncio.get_running_loop().call_later(MAX_SHARED_SECONDS, self._drop, key, rendered)

    def _drop(self, key: Hashable, rendered: _Rendered) -> None:
        """Free the memory of a page that is not valid any more: many callers may have pages."""
        if self._rendered.get(key) is rendered:
            del self._rendered[key]


def _format_time(now: datetime, zone: str) -> bytes:
    text = f'<time id="page-time" datetime="{now.isoformat()}">{now:%H:%M:%S} {escape(zone)}</time>'
    return text.encode()


def _deflate(text: bytes, *, is_last: bool = False) -> bytes:
    compressor = zlib.compressobj(_LEVEL, wbits=_RAW)
    return compressor.compress(text) + compressor.flush(zlib.Z_FINISH if is_last else zlib.Z_FULL_FLUSH)


_MAX_PAGES: Final = 64
_MAX_BYTES: Final = 250_000
"""Of one page, compressed if the browser accepts that."""
_MAX_GAP: Final = timedelta(minutes=5)
_MAX_FAILED: Final = 64
_MAIN: Final = '<main id="main">'


@dataclass(frozen=True, slots=True)
class KnownPage:
    """`shown_at`: when the store last confirmed it."""

    body: bytes
    is_compressed: bool
    shown_at: datetime


class PageOutage:
    """Since when the pages of an app fail. Addresses are URLs.

    It begins with the first page that fails, and ends when one that has failed is shown again, because other pages can
    be shown without the store. A page that is open is requested every few seconds, so that a failure long after the
    last one belongs to another outage.
    """

    def __init__(self) -> None:
        self._since: datetime | None = None
        self._failed_at = datetime.min.replace(tzinfo=UTC)
        self._failed: set[str] = set()

    def record_failure(self, address: str, now: datetime) -> datetime:
        """Return since when pages fail: now if this is the first one."""
        if self._since is None or now - self._failed_at > _MAX_GAP:
            self._since = now
            self._failed.clear()
        self._failed_at = now
        if len(self._failed) < _MAX_FAILED:
            self._failed.add(address)
        return self._since

    def record_success(self, address: str) -> None:
        if address in self._failed:
            self._since = None
            self._failed.clear()


class KnownPages:
    """The latest pages of an app, and since when they fail."""

    def __init__(self) -> None:
        self.pages: OrderedDict[Hashable, KnownPage] = OrderedDict()
        self.outage = PageOutage()


def remember(request: Request, body: bytes | None, *, is_compressed: bool = False) -> None:
    """Store the page that is sent. `body` None: the browser has the same page as before."""
    shown_pages: KnownPages = request.app.state.known_pages
    key, now = _key_of(request), request.app.state.services.clock.now()
    shown = shown_pages.pages.get(key)
    if body is None and shown is not None:
        shown_pages.pages[key] = replace(shown, shown_at=now)
    elif body is not None and len(body) <= _MAX_BYTES:
        shown_pages.pages[key] = KnownPage(body, is_compressed, now)
        shown_pages.pages.move_to_end(key)
        while len(shown_pages.pages) > _MAX_PAGES:
            shown_pages.pages.popitem(last=False)


def record_failure(request: Request) -> datetime:
    """Record that the page cannot be shown. Return since when pages fail, in the time zone of the preferences."""
    known: KnownPages = request.app.state.known_pages
    since = known.outage.record_failure(str(request.url), request.app.state.services.clock.now())
    return since.astimezone(find_preferences(request).zone)


def record_success(request: Request) -> None:
    """Record that the page is shown."""
    known: KnownPages = request.app.state.known_pages
    known.outage.record_success(str(request.url))


def recall(request: Request, detail: str, since: datetime) -> str | None:
    """Return the page as it was last shown, with a notice; None for a page that is not known.

    `since`: when pages began to fail, in the time zone of the preferences.
    """
    shown_pages: KnownPages = request.app.state.known_pages
    now = request.app.state.services.clock.now().astimezone(since.tzinfo)
    shown = shown_pages.pages.get(_key_of(request))
    if shown is None:
        return None
    notice = get_templates().get_template("last_known.html")
    text = notice.render(now=now, since=since, shown_at=shown.shown_at, detail=detail)
    html = (gzip.decompress(shown.body) if shown.is_compressed else shown.body).decode()
    return html.replace(_MAIN, _MAIN + text, 1).replace("<title>", "<title>store unavailable · ", 1)


def _key_of(request: Request) -> Hashable:
    state = request.scope.get("state") or {}
    return state.get("principal"), str(request.url), find_preferences(request)
