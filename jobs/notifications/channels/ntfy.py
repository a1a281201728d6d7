"""The channel `ntfy`: push notifications by https://ntfy.sh or by your own server.

Registered in jobs.notifications.channels. https://docs.ntfy.sh/publish/#publish-as-json
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import Posting, post
from jobs.notifications.port import ChannelResources, Message, SentReference, is_quiet, links_of, plain_text
from jobs.targets.endpoints import HttpUrl

_MAX_TEXT = 3900
"""Bytes; a longer message becomes an attachment (limit: 4096)."""

_PRIORITIES = {"info": 2, "degraded": 3, "down": 5}
_DEFAULT_PRIORITY = 4
_QUIET_PRIORITY = 2
_RESOLVED_PRIORITY = 3


class NtfyChannel(ChannelBase):
    """`replace`: whether a later message replaces the first one on the device (servers from 2.16 on), which can be
    silent there. `priority`: 1 to 5; default by severity."""

    kind: Literal["ntfy"]
    server: HttpUrl = "https://ntfy.sh"
    topic: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", description="on ntfy.sh, each reader who knows it can read it")
    token: OnlySecret | None = None
    priority: Annotated[int, Field(ge=1, le=5)] | None = None
    replace: bool = False

    @model_validator(mode="after")
    def _check_server(self) -> Self:
        if "?" in self.server or "#" in self.server:
            raise ValueError("server is the URL of the server alone: write the topic in `topic`")
        return self

    def create_sender(self, resources: ChannelResources) -> NtfySender:
        return NtfySender(self, resources)


class NtfySender:
    def __init__(self, channel: NtfyChannel, resources: ChannelResources) -> None:
        self._channel = channel
        self._resources = resources

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        channel = self._channel
        headers = {}
        secrets = []
        if channel.token is not None:
            secrets.append(await self._resources.read_secret(channel.token.secret))
            headers["authorization"] = f"Bearer {secrets[0]}"
        posting = Posting.of_json(channel.server.rstrip("/") + "/", ntfy_content(channel, message), headers)
        await post(self._resources, posting, secrets, timeout_s=channel.timeout)
        return reference


def ntfy_content(channel: NtfyChannel, message: Message) -> dict[str, Any]:
    """Return the JSON body of the request."""
    content: dict[str, Any] = {
        "topic": channel.topic,
        "title": message.title,
        "message": _cut(plain_text(message)) or message.title,
        "priority": channel.priority or _priority(message),
        "tags": ["white_check_mark" if message.is_resolution else "rotating_light"],
    }
    if links := links_of(message):
        content["click"] = links[0][1]
        content["actions"] = [{"action": "view", "label": label, "url": url} for label, url in links]
    if channel.replace:
        content["sequence_id"] = message.incident_key
    return content


def _priority(message: Message) -> int:
    if message.is_resolution:
        return _RESOLVED_PRIORITY
    return _QUIET_PRIORITY if is_quiet(message) else _PRIORITIES.get(message.severity, _DEFAULT_PRIORITY)


def _cut(text: str) -> str:
    encoded = text.encode("utf-8", "replace")
    return text if len(encoded) <= _MAX_TEXT else encoded[:_MAX_TEXT].decode("utf-8", "ignore") + "…"
