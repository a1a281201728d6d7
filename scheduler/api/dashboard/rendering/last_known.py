"""The pages as they were last shown, for the time in which the store is unavailable.

Called by scheduler.api.dashboard.rendering.page, which remembers, and scheduler.api.dashboard.rendering.error_page,
which recalls. `KnownPages` is made by scheduler.api.dashboard.readers.

A page is remembered for its address, the caller and the preferences of the browser: no caller gets a page that another
one was shown.
"""

from __future__ import annotations

import gzip
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from fastapi import Request

from scheduler.api.dashboard.access.preferences import find_preferences
from scheduler.api.dashboard.rendering.templates import get_templates

_MAX_PAGES: Final = 64
_MAX_BYTES: Final = 250_000
"""Of one page, compressed if the browser accepts that."""
_MAIN: Final = '<main id="main">'


@dataclass(frozen=True, slots=True)
class KnownPage:
    """`shown_at`: when the store last confirmed it."""

    body: bytes
    is_compressed: bool
    shown_at: datetime


class KnownPages:
    """The latest pages of an app. `unavailable_since`: the first page that failed after the last one that did not."""

    def __init__(self) -> None:
        self.pages: OrderedDict[Hashable, KnownPage] = OrderedDict()
        self.unavailable_since: datetime | None = None


def remember(request: Request, body: bytes | None, *, is_compressed: bool = False) -> None:
    """Store the page that is sent. `body` None: the browser has the same page as before."""
    known: KnownPages = request.app.state.known_pages
    key, now = _key_of(request), request.app.state.services.clock.now()
    known.unavailable_since = None
    found = known.pages.get(key)
    if body is None and found is not None:
        known.pages[key] = replace(found, shown_at=now)
    elif body is not None and len(body) <= _MAX_BYTES:
        known.pages[key] = KnownPage(body, is_compressed, now)
        known.pages.move_to_end(key)
        while len(known.pages) > _MAX_PAGES:
            known.pages.popitem(last=False)


def recall(request: Request, detail: str) -> str | None:
    """Return the page as it was last shown, with a notice of the time since when; None for a page that is not known."""
    known: KnownPages = request.app.state.known_pages
    preferences = find_preferences(request)
    now = request.app.state.services.clock.now().astimezone(preferences.zone)
    known.unavailable_since = known.unavailable_since or now
    found = known.pages.get(_key_of(request))
    if found is None:
        return None
    notice = get_templates().get_template("last_known.html")
    text = notice.render(now=now, since=known.unavailable_since, shown_at=found.shown_at, detail=detail)
    html = (gzip.decompress(found.body) if found.is_compressed else found.body).decode()
    return html.replace(_MAIN, _MAIN + text, 1).replace("<title>", "<title>store unavailable · ", 1)


def _key_of(request: Request) -> Hashable:
    state = request.scope.get("state") or {}
    return state.get("principal"), str(request.url), find_preferences(request)
