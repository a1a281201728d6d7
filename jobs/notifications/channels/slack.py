"""The channel `slack`: messages by an incoming webhook, or by a bot token, which can edit and reply.

Registered in jobs.notifications.channels. With a token, the first message of an incident always shows its current
state (chat.update), and each later message is a reply to it. The edit is sent first: repeating it changes nothing, so a
message that is sent again after a failure gets one reply. https://docs.slack.dev/reference/methods/chat.postMessage
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import PostedResponse, Posting, post
from jobs.notifications.port import (
    ChannelResources,
    Message,
    SendFailed,
    SentReference,
    color_of,
    is_quiet,
    links_of,
    shorten,
)
from jobs.problems import make_printable
from jobs.targets.endpoints import HttpUrl

_TEMPORARY_ERRORS = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)
_REMEDIES = {
    "not_in_channel": "invite the app to the channel",
    "channel_not_found": "check `channel`, and invite the app if the channel is private",
    "is_archived": "the channel is archived",
    "missing_scope": "the app needs the scope chat:write",
    "invalid_auth": "the token is not valid",
    "token_revoked": "the token was revoked",
    "account_inactive": "the app or its workspace was removed",
}
_FIRST_MESSAGE_ERRORS = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
"""The first message was deleted, or can no longer be edited."""

_MAX_HEADER, _MAX_SECTION, _MAX_FIELD, _MAX_FIELDS = 150, 2900, 1900, 10
"""Slack's limits are 150, 3000 and 2000 characters, and 10 fields a section."""


class SlackChannel(ChannelBase):
    """`url`: the incoming webhook. `token` and `channel`: the bot token (scope chat:write), and the channel's id."""

    EDITS: ClassVar[bool] = True
    THREADS: ClassVar[bool] = True

    kind: Literal["slack"]
    url: OnlySecret | None = Field(default=None, description="the incoming webhook; without edits and replies")
    token: OnlySecret | None = Field(default=None, description="the bot token, with edits and replies")
    channel: str | None = Field(
        default=None, pattern=r"^[#A-Za-z0-9][A-Za-z0-9_-]{0,79}$", description="an id such as C0123456789"
    )
    api_url: HttpUrl = Field(default="https://slack.com/api", description="another one for GovSlack")

    @model_validator(mode="after")
    def _check_way(self) -> Self:
        if (self.url is None) == (self.token is None):
            raise ValueError("requires either url (an incoming webhook) or token and channel (a bot)")
        if (self.token is None) != (self.channel is None):
            raise ValueError("token and channel belong together: an incoming webhook has a fixed channel")
        return self

    def create_sender(self, resources: ChannelResources) -> SlackSender:
        return SlackSender(self, resources)


class SlackSender:
    def __init__(self, channel: SlackChannel, resources: ChannelResources) -> None:
        self._channel = channel
        self._resources = resources

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        channel = self._channel
        if channel.url is not None:
            url = await self._resources.read_secret(channel.url.secret)
            await post(self._resources, Posting.of_json(url, slack_content(message)), timeout_s=channel.timeout)
            return reference
        first = _read_reference(reference)
        if first is not None and await self._edit(first, message):
            await self._call("chat.postMessage", _reply(message, first))
            return reference
        answer = await self._call("chat.postMessage", {"channel": channel.channel, **slack_content(message)})
        return SentReference(json.dumps({"channel": str(answer.get("channel")), "ts": str(answer.get("ts"))}))

    async def _edit(self, first: dict[str, str], message: Message) -> bool:
        """Let the first message show the current state. Returns False if it does not exist any more."""
        answer = await self._call("chat.update", {**first, **slack_content(message)}, _FIRST_MESSAGE_ERRORS)
        return answer.get("ok") is True

    async def _call(
        self, method: str, values: dict[str, Any], expected_errors: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        assert self._channel.token is not None
        token = await self._resources.read_secret(self._channel.token.secret)
        posting = Posting.of_json(
            f"{self._channel.api_url.rstrip('/')}/{method}", values, {"authorization": f"Bearer {token}"}
        )
        response = await post(self._resources, posting, [token], timeout_s=self._channel.timeout)
        answer = response.read_object()
        if answer.get("ok") is True or str(answer.get("error")) in expected_errors:
            return answer
        raise _explain_refusal(method, answer, response)


def _explain_refusal(method: str, answer: dict[str, Any], response: PostedResponse) -> SendFailed:
    code = make_printable(str(answer.get("error", "")), 60)
    if not code:
        return SendFailed(f"Slack's response to {method} is not its JSON object (status {response.status})")
    remedy = f": {_REMEDIES[code]}" if code in _REMEDIES else ""
    return SendFailed(f"Slack refused {method} with {code}{remedy}", is_permanent=code not in _TEMPORARY_ERRORS)


def _read_reference(reference: SentReference | None) -> dict[str, str] | None:
    """Return `channel` and `ts` of the first message; None without one, or after the channel was another kind."""
    try:
        value = json.loads(reference.value) if reference is not None else None
    except ValueError:
        return None
    return value if isinstance(value, dict) and value.keys() == {"channel", "ts"} else None


def _reply(message: Message, first: dict[str, str]) -> dict[str, Any]:
    """A loud reply is shown in the channel too: an edit notifies no reader."""
    loud = {} if is_quiet(message) or message.is_resolution else {"reply_broadcast": True}
    return {"channel": first["channel"], "thread_ts": first["ts"], **loud, **slack_content(message)}


def slack_content(message: Message) -> dict[str, Any]:
    """Return the text for notifications, and the coloured blocks."""
    blocks = [_title_block(message.title)]
    if message.text:
        blocks.append(_section(_escape(message.text)))
    fields = [_markdown(f"*{_escape(label)}*\n{_escape(value)}", _MAX_FIELD) for label, value in message.facts]
    starts = range(0, len(fields), _MAX_FIELDS)
    blocks += [{"type": "section", "fields": fields[start : start + _MAX_FIELDS]} for start in starts]
    if links := links_of(message):
        text = " · ".join(f"<{_escape(url).replace('|', '%7C')}|{label}>" for label, url in links)
        blocks.append({"type": "context", "elements": [_markdown(text, _MAX_SECTION)]})
    return {
        "text": shorten(_escape(message.title), _MAX_SECTION),
        "attachments": [
            {"color": color_of(message), "fallback": shorten(_escape(message.title), 500), "blocks": blocks}
        ],
        "unfurl_links": False,
    }


def _title_block(title: str) -> dict[str, Any]:
    """Return the title as plain text, in which Slack formats nothing: a heading if it is short enough for one."""
    text: dict[str, Any] = {"type": "plain_text", "text": shorten(_escape(title), _MAX_SECTION), "emoji": False}
    is_short = len(text["text"]) <= _MAX_HEADER
    return {"type": "header", "text": text} if is_short else {"type": "section", "text": text}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _markdown(text, _MAX_SECTION)}


def _markdown(text: str, limit: int) -> dict[str, Any]:
    # Verbatim: a URL, a channel's name or @here in a target's text stays a text.
    return {"type": "mrkdwn", "text": shorten(text, limit), "verbatim": True}


def _escape(text: str) -> str:
    """Escape what Slack reads as a mention or link: a target's text must not notify a channel."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
