"""Notification channels of a running scheduler, by its API: see scheduler.features.delivery.room."""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.features.channels.models import ChannelListModel, ChannelTestModel, RetriedModel, UndeliveredList
from scheduler.features.delivery.room import RemoteRoom
from scheduler.identity.principal import Caller


class RemoteChannels(RemoteRoom):
    """See ChannelQueries."""

    async def list_channels(self) -> ChannelListModel:
        return await self.read(ChannelListModel, ("channels",))

    async def list_undelivered(self, channel: str, *, limit: int, after: str = "") -> UndeliveredList:
        return await self.read(UndeliveredList, ("channels", channel, "undelivered"), limit=limit, after=after)


class RemoteUndelivered(RemoteRoom):
    """See UndeliveredManager."""

    async def retry(self, channel: str, ids: Sequence[str] = (), *, caller: Caller) -> RetriedModel:
        return await self.change(RetriedModel, ("channels", channel, "undelivered", "retry"), {"ids": tuple(ids)})

    async def discard(self, channel: str, letter_id: str, *, caller: Caller) -> None:
        await self.send("DELETE", ("channels", channel, "undelivered", letter_id))


class RemoteChannelTester(RemoteRoom):
    """See ChannelTester."""

    async def send_test(self, channel: str, incident: str | None = None, *, caller: Caller) -> ChannelTestModel:
        return await self.change(ChannelTestModel, ("channels", channel, "test"), {"incident": incident})
