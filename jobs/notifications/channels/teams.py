"""The channel `teams`: an Adaptive Card to a workflow of Microsoft Teams ("When a Teams webhook request is received").

Registered in jobs.notifications.channels. A workflow cannot edit or reply: each message is a card, and the title
contains the state. https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using
"""

from __future__ import annotations

import re
from typing import Any, Literal

from pydantic import Field

from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import Posting, encode_json, post
from jobs.notifications.port import ChannelResources, Message, SendFailed, SentReference, links_of, shorten

MAX_CARD = 27_000
"""Bytes; Teams accepts 28 KB."""

_FAILED_INSIDE = re.compile(rb"endpoint returned HTTP error (\d{3})")
"""In a response with status 200 of a connector: the card was not posted."""


class TeamsChannel(ChannelBase):
    kind: Literal["teams"]
    url: OnlySecret = Field(description="the URL of the workflow, which contains its key")

    def create_sender(self, resources: ChannelResources) -> TeamsSender:
        return TeamsSender(self, resources)


class TeamsSender:
    def __init__(self, channel: TeamsChannel, resources: ChannelResources) -> None:
        self._channel = channel
        self._resources = resources

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        url = await self._resources.read_secret(self._channel.url.secret)
        response = await post(
            self._resources, Posting.of_json(url, teams_content(message)), timeout_s=self._channel.timeout
        )
        if found := _FAILED_INSIDE.search(response.body):
            status = int(found[1])
            raise SendFailed(
                f"Teams did not post the card: status {status}", is_permanent=400 <= status < 500 and status != 429
            )
        return reference


def teams_content(message: Message) -> dict[str, Any]:
    """Return the body of the request. A text that is too long for a card is shortened."""
    for longest in (10_000, 2_000, 200):
        content = _content(message, longest)
        if len(encode_json(content)) <= MAX_CARD:
            break
    return content


def _content(message: Message, longest: int) -> dict[str, Any]:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "fallbackText": shorten(message.title, 500),
        "msteams": {"width": "Full"},
        "body": _body(message, longest),
        "actions": [{"type": "Action.OpenUrl", "title": label, "url": url} for label, url in links_of(message)],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [attachment]}


def _body(message: Message, longest: int) -> list[dict[str, Any]]:
    title = _text(shorten(message.title, 500), weight="Bolder", size="Medium")
    body: list[dict[str, Any]] = [{"type": "Container", "style": _style(message), "bleed": True, "items": [title]}]
    if message.text:
        body.append(_text(shorten(message.text, longest)))
    if message.facts:
        facts = [
            {"title": _escape(shorten(label, 100)), "value": _escape(shorten(value, longest // 10))}
            for label, value in message.facts
        ]
        body.append({"type": "FactSet", "facts": facts})
    return body


def _text(text: str, **more: str) -> dict[str, Any]:
    # A line break of Markdown is two of the text.
    return {"type": "TextBlock", "text": _escape(text).replace("\n", "\n\n"), "wrap": True, **more}


def _style(message: Message) -> str:
    if message.is_resolution:
        return "good"
    return {"degraded": "warning", "info": "accent"}.get(message.severity, "attention")


def _escape(text: str) -> str:
    """Escape the Markdown of a card: a target's text must not become a link or an image."""
    return re.sub(r"([\\`*_\[\]~|])", r"\\\1", text)
