"""The channel `alertmanager`: an alert in Prometheus Alertmanager (API v2), which routes and groups it.

Registered in jobs.notifications.channels. https://prometheus.io/docs/alerting/latest/alerts_api/. An alert is
identified by its labels. The labels and the start of the first message are the reference, so that later messages end
the same alert.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

from pydantic import Field

from jobs.formats import format_iso_instant
from jobs.model_base import Duration
from jobs.notifications.channels.base import ChannelBase, OnlySecret
from jobs.notifications.channels.http_posting import Posting, post
from jobs.notifications.port import ChannelResources, Message, SentReference, list_details
from jobs.targets.endpoints import HttpUrl

_NOT_IN_LABELS = re.compile(r"[^a-zA-Z0-9_]")
_SHOWN_FOR = timedelta(minutes=5)
"""How long an alert is active whose incident was over before it could be sent: longer than a usual `group_wait`."""


class AlertmanagerChannel(ChannelBase):
    """`url`: of Alertmanager, without /api/v2/alerts. `token`: for a proxy with bearer tokens.

    `valid_for`: Alertmanager resolves an alert by itself after this time, unless another message of the incident, such
    as a reminder, arrives before.
    """

    EDITS = True
    NEEDS_RESOLUTION = True

    kind: Literal["alertmanager"]
    url: HttpUrl
    token: OnlySecret | None = None
    labels: dict[Annotated[str, Field(pattern=r"^[a-zA-Z_][a-zA-Z0-9_]*$")], str] = {}
    valid_for: Annotated[Duration, Field(ge=60.0)] = 7 * 86_400.0

    def create_sender(self, resources: ChannelResources) -> AlertmanagerSender:
        return AlertmanagerSender(self, resources)


class AlertmanagerSender:
    """`clock`: seconds since 1970."""

    def __init__(
        self, channel: AlertmanagerChannel, resources: ChannelResources, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._channel = channel
        self._resources = resources
        self._clock = clock

    async def send(self, message: Message, reference: SentReference | None) -> SentReference | None:
        """Send the alert as active, or as ended. A changed severity ends the alert with the former labels."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        current = {"labels": self._labels(message), "startsAt": _format(min(message.at, now))}
        first = current if reference is None else json.loads(reference.value)
        if message.is_resolution:
            ends_at = now if reference is not None else now + _SHOWN_FOR
            await self._post([self._alert(message, first, ends_at)])
            return SentReference(json.dumps(first))
        ends_at = now + timedelta(seconds=self._channel.valid_for)
        if first["labels"] == current["labels"]:
            await self._post([self._alert(message, first, ends_at)])
            return SentReference(json.dumps(first))
        await self._post([self._alert(message, first, now), self._alert(message, current, ends_at)])
        return SentReference(json.dumps(current))

    async def _post(self, alerts: list[dict[str, Any]]) -> None:
        token = self._channel.token
        secrets = [] if token is None else [await self._resources.read_secret(token.secret)]
        headers = {"authorization": f"Bearer {secrets[0]}"} if secrets else {}
        posting = Posting.of_json(f"{self._channel.url.rstrip('/')}/api/v2/alerts", alerts, headers)
        await post(self._resources, posting, secrets, timeout_s=self._channel.timeout)

    def _labels(self, message: Message) -> dict[str, str]:
        tags = {_label_name(name): value for name, value in message.tags.items()}
        fixed = {
            "alertname": message.subject or "scheduler",
            "job": message.subject or "scheduler",
            "severity": message.severity,
            "incident": message.incident,
        }
        return {name: value for name, value in (tags | self._channel.labels | fixed).items() if value}

    def _alert(self, message: Message, first: dict[str, Any], ends_at: datetime) -> dict[str, Any]:
        details = {_label_name(name).lower(): value for name, value in list_details(message).items()}
        annotations = {**details, "summary": message.title, "description": message.text, "runbook_url": message.runbook}
        alert = {
            **first,
            "endsAt": _format(ends_at),
            "annotations": {name: value for name, value in annotations.items() if value},
        }
        return alert | ({"generatorURL": message.link} if message.link else {})


def _label_name(name: str) -> str:
    cleaned = _NOT_IN_LABELS.sub("_", name)
    return cleaned if not cleaned[:1].isdigit() else f"_{cleaned}"


def _format(at: datetime) -> str:
    return format_iso_instant(at, precise=True)
