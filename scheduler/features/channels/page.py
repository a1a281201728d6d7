"""The page /api/dashboard/notifications: the channels, and what they could not deliver.

Channels belong to all jobs: a caller that is limited to tags gets 403.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import Request
from fastapi.responses import Response

from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import NOTIFICATIONS_PATH
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.features.channels.models import ChannelStateModel, UndeliveredModel
from scheduler.services import Services

MAX_LETTERS_SHOWN = 50
"""Of a channel."""

router = ApiRouter(in_schema=False)


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """`letters`: the oldest ones that the channel could not deliver."""

    view: ChannelStateModel
    letters: Sequence[UndeliveredModel]

    @property
    def is_defined(self) -> bool:
        return bool(self.view.kind)

    @property
    def is_failing(self) -> bool:
        """Return whether it fails, or cannot be used because no job file defines it any more."""
        return self.view.condition == "failing" or not self.is_defined

    @property
    def needs_attention(self) -> bool:
        return self.is_failing or bool(self.view.undelivered)


@router.read(NOTIFICATIONS_PATH)
async def show_notifications(request: Request, services: ServicesDep) -> Response:
    """Show the page: what needs attention comes first."""
    channels = await read_channels(services)
    return await respond(request, services, "notifications.html", page="notifications", channels=channels)


async def read_channels(services: Services) -> Sequence[ChannelRow]:
    """Return the channels with what they could not deliver. Raises StoreError."""
    listed = await services.channels.list_channels()
    rows = await asyncio.gather(*(_read_channel(services, channel) for channel in listed.channels))
    return sorted(rows, key=lambda row: not row.needs_attention)


async def _read_channel(services: Services, channel: ChannelStateModel) -> ChannelRow:
    if not channel.undelivered:
        return ChannelRow(channel, ())
    listed = await services.channels.list_undelivered(channel.name, limit=MAX_LETTERS_SHOWN)
    return ChannelRow(channel, listed.undelivered)
