"""The channel `datadog_event`: an event in Datadog for each message, grouped by incident.

Registered in jobs.notifications.channels. https://docs.datadoghq.com/api/latest/events/post-an-event/ (v1, which
accepts any text). Datadog does not recognise repetitions: after a crash an event can appear twice.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Literal

from pydantic import Field

from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import Posting, post
from jobs.notifications.port import ChannelResources, Message, SentReference, choose_level, plain_text, shorten
from jobs.targets.endpoints import HttpUrl

_MAX_TITLE, _MAX_TEXT, _MAX_KEY = 500, 4000, 100
_OLDEST_S = 17 * 3600
"""Seconds. Datadog refuses events that are older than 18 hours."""
AlertType = Literal["error", "warning", "info"]
_ALERT_TYPES = {"info": "info", "degraded": "warning", "down": "error", "blind": "warning"}


class DatadogEventChannel(ChannelBase):
    """`site`: as in the URL of Datadog, such as datadoghq.eu. `url` overrides it. `tags`: added to those of the job."""

    kind: Literal["datadog_event"]
    api_key: OnlySecret
    site: str = Field(default="datadoghq.com", pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$", max_length=100)
    url: HttpUrl | None = Field(default=None, description="without /api/v1/events")
    alert_types: dict[str, AlertType] = Field(default={}, description="by severity: {down: error, degraded: warning}")
    tags: dict[str, str] = {}

    def create_sender(self, resources: ChannelResources) -> DatadogEventSender:
        return DatadogEventSender(self, resources)


class DatadogEventSender:
    """`clock`: seconds since 1970."""

    def __init__(
        self, channel: DatadogEventChannel, resources: ChannelResources, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._channel = channel
        self._resources = resources
        self._clock = clock

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        key = await self._resources.read_secret(self._channel.api_key.secret)
        base = (self._channel.url or f"https://api.{self._channel.site}").rstrip("/")
        posting = Posting.of_json(f"{base}/api/v1/events", self._event(message), {"dd-api-key": key})
        await post(self._resources, posting, [key], timeout_s=self._channel.timeout)
        return reference

    def _event(self, message: Message) -> dict[str, Any]:
        level = choose_level(self._channel.alert_types, message.severity, _ALERT_TYPES, "warning")
        tags = {**message.tags, **self._channel.tags, "job": message.subject, "severity": message.severity}
        return {
            "title": shorten(message.title, _MAX_TITLE),
            "text": shorten(plain_text(message), _MAX_TEXT),
            "alert_type": "success" if message.is_resolution else level,
            "aggregation_key": message.incident_key[-_MAX_KEY:],
            "date_happened": int(max(message.at.timestamp(), self._clock() - _OLDEST_S)),
            "priority": "normal",
            "tags": [
                *(f"{name}:{value}" for name, value in tags.items() if value),
                f"incident:{message.incident}",
                f"transition:{message.kind}",
            ],
        }
