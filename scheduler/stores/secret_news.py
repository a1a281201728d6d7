"""What is new about secrets, for every instance: which have a new version, which expire. Used by secret_watch.

One row, so that looking at it costs one read. It holds names of secrets that jobs use, and no values.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from scheduler.stores.port import Insert, Replace, RowChanged, RowExists, Store

TABLE = "secrets"
_PARTITION, _KEY = "news", "newest"


@dataclass(frozen=True, slots=True)
class Expiry:
    """Of the newest version of a secret. `at` None: the vault has not said when."""

    at: datetime | None
    past: bool


@dataclass(frozen=True, slots=True)
class News:
    """By name, as the vault compares names. A stamp is another text with each new version."""

    stamps: Mapping[str, str] = field(default_factory=dict)
    expiring: Mapping[str, Expiry] = field(default_factory=dict)

    def with_version(self, name: str, stamp: str) -> News:
        """A new version; what was said of the one before holds no more."""
        expiring = {each: expiry for each, expiry in self.expiring.items() if each != name}
        return News({**self.stamps, name: stamp}, expiring)

    def with_expiry(self, name: str, expiry: Expiry) -> News:
        return replace(self, expiring={**self.expiring, name: expiry})


class SecretNews:
    """Both methods raise StoreUnavailable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def get(self) -> News:
        row = await self._store.get(TABLE, _PARTITION, _KEY)
        return News() if row is None else _news(row.body)

    async def change(self, change: Callable[[News], News]) -> tuple[News, News]:
        """Replace the news by what `change` makes of them; returns those before and those after."""
        while True:
            row = await self._store.get(TABLE, _PARTITION, _KEY)
            before = News() if row is None else _news(row.body)
            after = change(before)
            if after == before:
                return before, after
            body = _body(after)
            try:
                if row is None:
                    await self._store.apply(Insert(TABLE, _PARTITION, _KEY, body))
                else:
                    await self._store.apply(Replace(TABLE, _PARTITION, _KEY, body, row.etag))
            except (RowExists, RowChanged):
                continue  # somebody else had news at the same time
            return before, after


def _body(news: News) -> str:
    expiring = {
        name: {"at": expiry.at and expiry.at.isoformat(), "past": expiry.past} for name, expiry in news.expiring.items()
    }
    return json.dumps({"stamps": dict(news.stamps), "expiring": expiring})


def _news(body: str) -> News:
    read = json.loads(body)
    expiring = {
        name: Expiry(None if each["at"] is None else datetime.fromisoformat(each["at"]), each["past"])
        for name, each in read["expiring"].items()
    }
    return News(read["stamps"], expiring)
