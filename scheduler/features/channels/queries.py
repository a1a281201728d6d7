"""Reads the states of notification channels, and what they could not deliver.

Channels belong to all jobs: a caller that is limited to tags does not read them.
"""

from __future__ import annotations

import asyncio

from jobs.notifications.port import ChannelState
from jobs.ports import Clock
from jobs.problems.findings import did_you_mean, suggest_name
from scheduler.alerting.delivery.health import judge_channel
from scheduler.catalog.catalog import Catalog, Query
from scheduler.errors import NotFound
from scheduler.features.channels.models import ChannelListModel, ChannelStateModel, UndeliveredList, UndeliveredModel
from scheduler.stores.alerting.outbox import OutboxRows, StoredLetter, UndeliveredRows


class ChannelQueries(Query):
    """All methods raise StoreError."""

    def __init__(self, catalog: Catalog, outbox: OutboxRows, undelivered: UndeliveredRows, clock: Clock) -> None:
        self._catalog = catalog
        self._outbox = outbox
        self._undelivered = undelivered
        self._clock = clock

    async def list_channels(self) -> ChannelListModel:
        """Return the defined channels, and others that have been used, by name."""
        states, waiting, letters = await asyncio.gather(
            self._outbox.list_channel_states(), self._outbox.count_waiting(), self._undelivered.count()
        )
        defined, now = self._catalog.snapshot.alerting.channels, self._clock.now()
        by_name = {state.channel: state for state in states}
        channels = []
        for name in sorted({*defined, *by_name, *waiting, *letters}):
            state, undelivered = by_name.get(name, ChannelState(name)), letters.get(name, 0)
            health = judge_channel(state, now, given_up_recently=undelivered)
            channel = ChannelStateModel.from_object(
                state,
                name=name,
                kind=str(getattr(defined.get(name), "kind", "")),
                fallback=str(getattr(defined.get(name), "fallback", "") or ""),
                condition=health.condition,
                summary=health.text,
                waiting=waiting.get(name, 0),
                undelivered=undelivered,
                url=f"/api/channels/{name}/undelivered",
            )
            channels.append(channel)
        return ChannelListModel(channels=channels)

    async def list_undelivered(self, channel: str, *, limit: int | None = None, after: str = "") -> UndeliveredList:
        """Return what the channel could not deliver, oldest incident first. `after`: an id. `limit`: None for all.

        Raises:
            NotFound: the channel does not exist.
            InvalidContinuation: `after` is not an id.
        """
        letters = await self.find_letters(channel, after)
        has_more = limit is not None and len(letters) > limit
        undelivered = [_view_letter(stored) for stored in letters[:limit]]
        return UndeliveredList(undelivered=undelivered, continuation=undelivered[-1].id if has_more else None)

    async def find_letters(self, channel: str, after: str = "") -> list[StoredLetter]:
        """Return the stored notifications of list_undelivered, to send them again or to discard them."""
        letters = await self._undelivered.list_of(channel, after)
        if not letters:
            await self._require_known(channel)
        return letters

    async def _require_known(self, channel: str) -> None:
        names = list(self._catalog.snapshot.alerting.channels)
        if channel in names or (await self._outbox.read_channel(channel)).etag is not None:
            return
        near = did_you_mean(suggest_name(channel, names))
        raise NotFound(f"there is no notification channel {channel!r}{near}: list the channels")


def _view_letter(stored: StoredLetter) -> UndeliveredModel:
    letter = stored.letter
    return UndeliveredModel.from_object(
        letter.notification,
        id=stored.id,
        channels=list(letter.channels),
        given_up_at=letter.at,
        error=letter.error,
        url=f"/api/incidents/{letter.notification.incident}",
    )
