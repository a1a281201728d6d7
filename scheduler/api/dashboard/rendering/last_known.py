"""The pages as they were last shown, for the time in which the store is unavailable.

Called by scheduler.api.dashboard.rendering.page, which remembers, by scheduler.api.dashboard.rendering.error_page,
which recalls, and by the overview and the wall view, which know their last state themselves. `KnownPages` is made by
scheduler.api.dashboard.readers.

A page is remembered for its address, the caller and the preferences of the browser: no caller gets a page that another
one was shown.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import Request

from scheduler.api.dashboard.access.preferences import find_preferences
from scheduler.api.dashboard.rendering.templates import get_templates

_MAX_PAGES: Final = 64
_MAX_BYTES: Final = 250_000
"""Of one page, compressed if the browser accepts that."""
_LONGEST_GAP: Final = timedelta(minutes=5)
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
        if self._since is None or now - self._failed_at > _LONGEST_GAP:
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
    known: KnownPages = request.app.state.known_pages
    key, now = _key_of(request), request.app.state.services.clock.now()
    found = known.pages.get(key)
    if body is None and found is not None:
        known.pages[key] = replace(found, shown_at=now)
    elif body is not None and len(body) <= _MAX_BYTES:
        known.pages[key] = KnownPage(body, is_compressed, now)
        known.pages.move_to_end(key)
        while len(known.pages) > _MAX_PAGES:
            known.pages.popitem(last=False)


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
    known: KnownPages = request.app.state.known_pages
    now = request.app.state.services.clock.now().astimezone(since.tzinfo)
    found = known.pages.get(_key_of(request))
    if found is None:
        return None
    notice = get_templates().get_template("last_known.html")
    text = notice.render(now=now, since=since, shown_at=found.shown_at, detail=detail)
    html = (gzip.decompress(found.body) if found.is_compressed else found.body).decode()
    return html.replace(_MAIN, _MAIN + text, 1).replace("<title>", "<title>store unavailable · ", 1)


def _key_of(request: Request) -> Hashable:
    state = request.scope.get("state") or {}
    return state.get("principal"), str(request.url), find_preferences(request)
