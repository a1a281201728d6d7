"""Send one HTTP request of a channel, and turn every failure into SendFailed. Used by jobs.notifications.channels.

    response = await post(resources, Posting(url, json_body, headers), secrets, timeout_s=10.0)

A status of 2xx is success. 408, 425, 429 and 5xx are temporary, with Retry-After; any other status is permanent, and
so is a success whose body cannot be read. Redirects are not followed: the next host would receive the message and its
key.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from jobs.formats import describe_seconds
from jobs.notifications.port import ChannelResources, SendFailed, add_answer
from jobs.problems import make_printable
from jobs.redaction import Redactor
from jobs.responses import ReceivedResponse, fetch, parse_retry_after

MAX_RESPONSE = 64 * 1024
"""Bytes of a usual response, and of an excerpt before it is shortened."""

_EXCERPT = 200
"""Characters of a response in an error."""

_TEMPORARY = frozenset({408, 425, 429})
_SHORTEST_KEY = 12
"""Characters of a segment of a URL's path that can be a key, in a URL that is a secret."""


@dataclass(frozen=True, slots=True)
class Posting:
    """A request. `url` and `headers` can contain secrets, so neither appears in an error."""

    url: str = field(repr=False)
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    method: str = "POST"
    accepted: frozenset[int] = frozenset()
    """Statuses that are success in addition to 2xx."""
    largest_response: int = MAX_RESPONSE
    """Bytes of the response that are read; more are ignored."""

    @classmethod
    def of_json(cls, url: str, value: object, headers: Mapping[str, str] | None = None, **more: Any) -> Posting:
        return cls(url, encode_json(value), {"content-type": "application/json", **(headers or {})}, **more)


@dataclass(frozen=True, slots=True)
class PostedResponse:
    """`body`: at most Posting.largest_response bytes."""

    status: int
    body: bytes
    headers: Mapping[str, str]

    def read_object(self) -> dict[str, Any]:
        """Return the JSON object of the body; an empty one if it is something else."""
        try:
            value = json.loads(self.body)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


def encode_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


async def post(
    resources: ChannelResources, posting: Posting, secrets: Iterable[str] = (), *, timeout_s: float = 10.0
) -> PostedResponse:
    """Send a request and return its response. `secrets`: values that must not appear in an error.

    Raises:
        SendFailed: the request failed, or its status is not a success.
    """
    hide = SecretHider([posting.url, *secrets])
    name = describe_endpoint(posting.url)
    try:
        received = await fetch(
            resources.http,
            posting.method,
            posting.url,
            limit=posting.largest_response,
            timeout_s=timeout_s,
            headers=posting.headers,
            content=posting.body,
        )
    except TimeoutError:
        raise SendFailed(f"{name} did not respond within {describe_seconds(timeout_s)}") from None
    except Exception as error:  # every error of the client, its transport and the guard
        raise _to_send_failed(error, name, hide) from None
    response = PostedResponse(received.status, received.body, received.headers)
    if 200 <= response.status < 300 or response.status in posting.accepted:
        _require_body(received, name)
        excerpt = hide(response.body.decode("utf-8", "replace"))
        add_answer(f"{name} responded with status {response.status}" + (f": {excerpt}" if excerpt else ""))
        return response
    raise _explain_status(response, name, hide)


def _require_body(response: ReceivedResponse, name: str) -> None:
    """Raise SendFailed if the body of a success cannot be read: a retry would send the message again."""
    if response.received.error:
        text = f"{name} responded with status {response.status}, but {response.received.error}"
        raise SendFailed(f"{text}: check the service and the proxies in front of it", is_permanent=True)


def _to_send_failed(error: Exception, name: str, hide: SecretHider) -> SendFailed:
    if "Timeout" in type(error).__name__:
        return SendFailed(f"{name} did not respond in time")
    reason = hide(str(error)) or type(error).__name__
    # A denial of the guard and an invalid URL do not change by themselves.
    is_permanent = type(error).__name__ in ("TargetDenied", "InvalidURL", "UnsupportedProtocol")
    return SendFailed(f"the request to {name} failed: {reason}", is_permanent=is_permanent)


def _explain_status(response: PostedResponse, name: str, hide: SecretHider) -> SendFailed:
    text = f"{name} responded with status {response.status}"
    if 300 <= response.status < 400:
        text += "; redirects are not followed: configure the URL that it redirects to"
    elif excerpt := hide(response.body.decode("utf-8", "replace")):
        text += f": {excerpt}"
    return SendFailed(
        text,
        is_permanent=response.status < 500 and response.status not in _TEMPORARY,
        retry_after=parse_retry_after(response.status, response.headers, datetime.now(UTC)),
    )


def describe_endpoint(url: str) -> str:
    """Return the host of a URL, with its port if one is given. The path and query can be a key."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return make_printable(f"{host}:{parts.port}" if parts.port else host) or "the URL"
    except ValueError:
        return "the URL"


class SecretHider:
    """Makes an excerpt of a text of a service: one line, short, without the given secrets and their encoded forms.

    Of a secret URL, the path, its long segments and the values of its query are hidden too.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._redactor = Redactor()
        for secret in secrets:
            for part in _parts_of(secret):
                self._redactor.hold(part)

    def __call__(self, text: str, limit: int = _EXCERPT) -> str:
        # Redacted before it is shortened, so that no part of a secret remains at the end.
        return make_printable(" ".join(self._redactor.redact(text[:MAX_RESPONSE]).split()), limit)


def _parts_of(secret: str) -> list[str]:
    if "://" not in secret:
        return [secret]
    try:
        parts = urlsplit(secret)
    except ValueError:
        return [secret]
    segments = [each for each in parts.path.split("/") if len(each) >= _SHORTEST_KEY]
    values = [value for _, value in parse_qsl(parts.query) if len(value) >= _SHORTEST_KEY]
    path = [parts.path] if len(parts.path) >= _SHORTEST_KEY else []
    passwords = [each for each in (parts.username, parts.password) if each]
    return [secret, *path, *segments, *values, *passwords]
