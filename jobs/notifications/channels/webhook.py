"""The channel `webhook`: an HTTP request with a JSON body, signed as Standard Webhooks defines.

Registered in jobs.notifications.channels. https://www.standardwebhooks.com defines the headers: `webhook-id` (the same
for each repetition of a message), `webhook-timestamp` (seconds since 1970) and `webhook-signature`, which is `v1,` and
the Base64 form of HMAC-SHA256 over `{id}.{timestamp}.{body}`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from jobs.model_base import SecretRef
from jobs.notifications.channels.base import ChannelBase, OnlySecret, UrlOrSecret
from jobs.notifications.channels.http_posting import Posting, encode_json, post
from jobs.notifications.port import ChannelResources, Message, SendFailed, SentReference
from jobs.notifications.templates.definition import (
    check_message_templates,
    message_values,
    render_message_templates,
)
from jobs.targets.http import RequestHeaders

_RESERVED = frozenset({"webhook-id", "webhook-timestamp", "webhook-signature", "content-length", "host"})


def _refuse_reserved(headers: Mapping[str, object]) -> Mapping[str, object]:
    if found := next((name for name in headers if name.lower() in _RESERVED), None):
        raise ValueError(f"{found} is set by the program: remove it")
    return headers


class WebhookChannel(ChannelBase):
    """`body`: any JSON value; each text in it is a template with the fields of the message. Default: all fields.

    `signing_key`: the key as text, or as `whsec_` and its Base64 form.
    """

    kind: Literal["webhook"]
    url: UrlOrSecret = Field(description="an http URL, or {secret: NAME} if the URL contains a key")
    method: Literal["POST", "PUT"] = "POST"
    headers: Annotated[RequestHeaders, AfterValidator(_refuse_reserved)] = {}
    body: Annotated[Any, AfterValidator(check_message_templates)] = None
    signing_key: OnlySecret | None = None

    def create_sender(self, resources: ChannelResources) -> WebhookSender:
        return WebhookSender(self, resources)


class WebhookSender:
    """`clock`: seconds since 1970."""

    def __init__(
        self, channel: WebhookChannel, resources: ChannelResources, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._channel = channel
        self._resources = resources
        self._clock = clock

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        """Send all of the message each time; there is nothing to edit."""
        channel = self._channel
        secrets: list[str] = []
        url = await self._resolve(channel.url, secrets)
        headers = {name: await self._resolve(value, secrets) for name, value in channel.headers.items()}
        body = encode_json(self._render(message))
        signing = await self._sign(message, body, secrets)
        posting = Posting(url, body, {"content-type": "application/json", **signing, **headers}, channel.method)
        await post(self._resources, posting, secrets, timeout_s=channel.timeout)
        return reference

    def _render(self, message: Message) -> object:
        if self._channel.body is None:
            return message_values(message)
        return render_message_templates(self._channel.body, message)

    async def _resolve(self, value: str | SecretRef, secrets: list[str]) -> str:
        if isinstance(value, str):
            return value
        secrets.append(await self._resources.read_secret(value.secret))
        return secrets[-1]

    async def _sign(self, message: Message, body: bytes, secrets: list[str]) -> dict[str, str]:
        timestamp = str(int(self._clock()))
        headers = {"webhook-id": message.dedup_key, "webhook-timestamp": timestamp}
        key = self._channel.signing_key
        if key is not None:
            value = await self._resolve(key, secrets)
            headers["webhook-signature"] = sign_webhook(value, message.dedup_key, timestamp, body)
        return headers


def sign_webhook(key: str, message_id: str, timestamp: str, body: bytes) -> str:
    """Return the value of the header `webhook-signature`. Raises SendFailed: the key is not Base64 after `whsec_`."""
    try:
        encoded = key.removeprefix("whsec_")
        secret = base64.b64decode(encoded, validate=True) if encoded != key else key.encode()
    except binascii.Error:
        raise SendFailed("the text after whsec_ in the signing key is not Base64", is_permanent=True) from None
    digest = hmac.new(secret, f"{message_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(digest).decode()}"
