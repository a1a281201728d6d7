"""The channel `opsgenie`: the Alert API of Opsgenie, and of Jira Service Management, which accepts the same requests.

Registered in jobs.notifications.channels. https://docs.opsgenie.com/docs/alert-api. The incident is the alias of the
alert, of which the service has one open alert at most. Requests are accepted with 202 and executed later.
"""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import quote

from pydantic import Field

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import Posting, post
from jobs.notifications.port import (
    ACKNOWLEDGING,
    ChannelResources,
    Message,
    SentReference,
    choose_level,
    list_details,
    plain_text,
    shorten,
)
from jobs.targets.endpoints import HttpUrl

_URLS = {
    "us": "https://api.opsgenie.com",
    "eu": "https://api.eu.opsgenie.com",
    "jira": "https://api.atlassian.com/jsm/ops/integration",
}
_SOURCE = "scheduler"
_MAX_MESSAGE, _MAX_DESCRIPTION, _MAX_NOTE = 130, 15_000, 25_000
_MAX_ALIAS, _MAX_ENTITY = 512, 512
_MAX_TAGS, _MAX_TAG = 20, 50
Priority = Literal["P1", "P2", "P3", "P4", "P5"]
_PRIORITIES = {"info": "P5", "degraded": "P3", "down": "P1", "blind": "P2"}


class OpsgenieChannel(ChannelBase):
    """`api_key`: of an API integration. `region`: `jira` for Jira Service Management. `url` overrides it."""

    EDITS = True
    NEEDS_RESOLUTION = True

    kind: Literal["opsgenie"]
    api_key: OnlySecret
    region: Literal["us", "eu", "jira"] = "us"
    url: HttpUrl | None = Field(default=None, description="without /v2/alerts")
    priorities: dict[str, Priority] = Field(default={}, description="P1 to P5 by severity: {down: P1, degraded: P3}")

    def create_sender(self, resources: ChannelResources) -> OpsgenieSender:
        return OpsgenieSender(self, resources)


class OpsgenieSender:
    def __init__(self, channel: OpsgenieChannel, resources: ChannelResources) -> None:
        self._channel = channel
        self._resources = resources

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        """Create the alert with the first message; later ones close it, change its acknowledgement, or add a note."""
        key = await self._resources.read_secret(self._channel.api_key.secret)
        is_new = reference is None or message.kind is TransitionKind.REOPENED
        if is_new:
            await self._request(key, "", self._alert(message))
        note = {"source": _SOURCE, "note": shorten(f"{message.title}\n{plain_text(message)}", _MAX_NOTE)}
        if message.is_resolution:
            await self._request(key, f"/{_alias_in_path(message)}/close", note)
        elif message.kind in ACKNOWLEDGING:
            await self._request(key, f"/{_alias_in_path(message)}/acknowledge", note)
        elif message.kind is TransitionKind.UNACKNOWLEDGED:
            await self._request(key, f"/{_alias_in_path(message)}/unacknowledge", note)
        elif not is_new:
            await self._update(key, message, note)
        return SentReference(_alias(message))

    async def _update(self, key: str, message: Message, note: dict[str, str]) -> None:
        if message.kind is TransitionKind.RAISED:
            priority = {"priority": self._priority(message)}
            await self._request(key, f"/{_alias_in_path(message)}/priority", priority, method="PUT")
        await self._request(key, f"/{_alias_in_path(message)}/notes", note)

    async def _request(self, key: str, path: str, body: dict[str, Any], method: str = "POST") -> None:
        base = (self._channel.url or _URLS[self._channel.region]).rstrip("/")
        url = f"{base}/v2/alerts{path}" + ("?identifierType=alias" if path else "")
        posting = Posting.of_json(url, body, {"authorization": f"GenieKey {key}"}, method=method)
        await post(self._resources, posting, [key], timeout_s=self._channel.timeout)

    def _alert(self, message: Message) -> dict[str, Any]:
        tags = [shorten(f"{name}:{value}", _MAX_TAG) for name, value in message.tags.items()]
        return {
            "message": shorten(message.title, _MAX_MESSAGE),
            "alias": _alias(message),
            "description": shorten(plain_text(message), _MAX_DESCRIPTION),
            "details": list_details(message),
            "entity": shorten(message.subject, _MAX_ENTITY),
            "source": _SOURCE,
            "tags": tags[:_MAX_TAGS],
            "priority": self._priority(message),
        }

    def _priority(self, message: Message) -> str:
        return choose_level(self._channel.priorities, message.severity, _PRIORITIES, "P3")


def _alias(message: Message) -> str:
    return message.incident_key[:_MAX_ALIAS]


def _alias_in_path(message: Message) -> str:
    return quote(_alias(message), safe="")
