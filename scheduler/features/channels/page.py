"""The page /api/dashboard/notifications: the channels, and what they could not deliver.

Channels belong to all jobs: a caller that is limited to tags gets 403.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import Request
from fastapi.responses import Response

from scheduler.alerting.delivery.health import ChannelCondition, judge_channel
from scheduler.api.dashboard.rendering.page import respond
from scheduler.api.dashboard.rendering.paths import NOTIFICATIONS_PATH
from scheduler.api.routing import ApiRouter, ServicesDep
from scheduler.features.channels.queries import ChannelView
from scheduler.services import Services
from scheduler.stores.alerting.outbox import StoredLetter

MAX_LETTERS_SHOWN = 50
"""Of a channel."""

router = ApiRouter(in_schema=False)


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """`condition`: working, failing or never_delivered. `letters`: the oldest ones that it could not deliver."""

    view: ChannelView
    condition: str
    letters: tuple[StoredLetter, ...]

    @property
    def is_defined(self) -> bool:
        return bool(self.view.kind)

    @property
    def needs_attention(self) -> bool:
        return self.condition == ChannelCondition.FAILING or bool(self.view.undelivered)


@router.read(NOTIFICATIONS_PATH)
async def show_notifications(request: Request, services: ServicesDep) -> Response:
    """Show the page: what needs attention comes first."""
    channels = await read_channels(services)
    return await respond(request, services, "notifications.html", page="notifications", channels=channels)


async def read_channels(services: Services) -> Sequence[ChannelRow]:
    """Return the channels with what they could not deliver. Raises StoreError."""
    now = services.clock.now()
    views = await services.channels.list_channels()
    rows = await asyncio.gather(*(_read_channel(services, view, now) for view in views))
    return sorted(rows, key=lambda row: not row.needs_attention)


async def _read_channel(services: Services, view: ChannelView, now: datetime) -> ChannelRow:
    letters = await services.channels.list_undelivered(view.name) if view.undelivered else []
    health = judge_channel(view.state, now, given_up_recently=view.undelivered, is_defined=bool(view.kind))
    return ChannelRow(view, health.condition.value, tuple(letters[:MAX_LETTERS_SHOWN]))
