"""Reads the states of notification channels, and what they could not deliver.

Channels belong to all jobs: a caller that is limited to tags does not read them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from jobs.notifications.port import ChannelState
from jobs.problems.findings import did_you_mean, suggest_name
from scheduler.catalog.catalog import Catalog, Query
from scheduler.errors import NotFound
from scheduler.stores.alerting.outbox import OutboxRows, StoredLetter, UndeliveredRows


@dataclass(frozen=True, slots=True)
class ChannelView:
    """`kind`, `fallback`: empty for a channel that is not defined any more. `waiting`: notifications in the outbox.
    `undelivered`: notifications that were given up, and neither sent again nor discarded.
    """

    name: str
    kind: str
    fallback: str
    state: ChannelState
    waiting: int
    undelivered: int


class ChannelQueries(Query):
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, outbox: OutboxRows, undelivered: UndeliveredRows) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._undelivered = undelivered

    async def list_channels(self) -> tuple[ChannelView, ...]:
        """Return the defined channels, and others that have been used, by name."""
        states, waiting, letters = await asyncio.gather(
            self._outbox.list_channel_states(), self._outbox.count_waiting(), self._undelivered.count()
        )
        defined = self._catalog.snapshot.alerting.channels
        by_name = {each.channel: each for each in states}
        return tuple(
            ChannelView(
                name,
                str(getattr(defined.get(name), "kind", "")),
                str(getattr(defined.get(name), "fallback", "") or ""),
                by_name.get(name, ChannelState(name)),
                waiting.get(name, 0),
                letters.get(name, 0),
            )
            for name in sorted({*defined, *by_name, *waiting, *letters})
        )

    async def list_undelivered(self, channel: str, after: str = "") -> list[StoredLetter]:
        """Return what the channel could not deliver, oldest incident first. `after`: an id.

        Raises:
            NotFound: the channel does not exist.
            InvalidContinuation: `after` is not an id.
        """
        found = await self._undelivered.list_of(channel, after)
        if not found:
            await self._require_known(channel)
        return found

    async def _require_known(self, channel: str) -> None:
        names = list(self._catalog.snapshot.alerting.channels)
        if channel in names or (await self._outbox.read_channel(channel)).etag is not None:
            return
        near = did_you_mean(suggest_name(channel, names))
        raise NotFound(f"there is no notification channel {channel!r}{near}: list the channels")
