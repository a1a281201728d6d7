"""The channel `pagerduty`: Events API v2. The first message triggers an alert; later ones change it by its key.

Registered in jobs.notifications.channels. https://developer.pagerduty.com/docs/send-alert-event
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from jobs.formats import format_iso_instant
from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import Posting, post
from jobs.notifications.port import (
    ACKNOWLEDGING,
    ChannelResources,
    Message,
    SentReference,
    choose_level,
    list_details,
    shorten,
)
from jobs.targets.endpoints import HttpUrl

_URLS = {"us": "https://events.pagerduty.com/v2/enqueue", "eu": "https://events.eu.pagerduty.com/v2/enqueue"}
_MAX_SUMMARY = 1024
_MAX_KEY = 255
PagerDutySeverity = Literal["critical", "error", "warning", "info"]
_SEVERITIES = {"info": "info", "degraded": "warning", "down": "critical", "blind": "error"}


class PagerDutyChannel(ChannelBase):
    """`routing_key`: the integration key of a service or an event orchestration. `url` overrides `region`."""

    EDITS = True
    NEEDS_RESOLUTION = True

    kind: Literal["pagerduty"]
    routing_key: OnlySecret
    region: Literal["us", "eu"] = "us"
    url: HttpUrl | None = None
    severities: dict[str, PagerDutySeverity] = Field(
        default={}, description="PagerDuty's severity by ours: {down: critical, degraded: warning}"
    )

    def create_sender(self, resources: ChannelResources) -> PagerDutySender:
        return PagerDutySender(self, resources)


class PagerDutySender:
    def __init__(self, channel: PagerDutyChannel, resources: ChannelResources) -> None:
        self._channel = channel
        self._resources = resources

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        """Trigger, then acknowledge or resolve.

        An acknowledgement or resolution before any other message is preceded by a trigger: PagerDuty ignores one
        without an alert.
        """
        key = await self._resources.read_secret(self._channel.routing_key.secret)
        action = _choose_action(message)
        if action == "trigger" or reference is None:
            await self._post(self._trigger(message), key)
        if action != "trigger":
            await self._post({"event_action": action, "dedup_key": _dedup_key(message)}, key)
        return SentReference(_dedup_key(message))

    async def _post(self, event: dict[str, Any], key: str) -> None:
        url = self._channel.url or _URLS[self._channel.region]
        posting = Posting.of_json(url, {"routing_key": key, **event})
        await post(self._resources, posting, [key], timeout_s=self._channel.timeout)

    def _trigger(self, message: Message) -> dict[str, Any]:
        links = [(message.link, "Incident"), (message.runbook, "Runbook")]
        event: dict[str, Any] = {
            "event_action": "trigger",
            "dedup_key": _dedup_key(message),
            "payload": {
                "summary": shorten(message.title, _MAX_SUMMARY),
                "source": message.subject or "scheduler",
                "severity": choose_level(self._channel.severities, message.severity, _SEVERITIES, "error"),
                "timestamp": format_iso_instant(message.at, precise=True),
                "component": message.subject or "scheduler",
                "custom_details": {"Text": message.text, **list_details(message)},
            },
            "links": [{"href": href, "text": text} for href, text in links if href],
            "client": "scheduler",
        }
        return event | ({"client_url": message.link} if message.link else {})


def _choose_action(message: Message) -> str:
    if message.is_resolution:
        return "resolve"
    return "acknowledge" if message.kind in ACKNOWLEDGING else "trigger"


def _dedup_key(message: Message) -> str:
    return message.incident_key[:_MAX_KEY]
