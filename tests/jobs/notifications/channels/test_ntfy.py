"""The channel `ntfy` against a server on loopback."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.ntfy import ntfy_content
from jobs.notifications.port import SendFailed
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, make_channel, message, resources


async def test_a_message_is_published_to_the_topic_with_the_token() -> None:
    async with NotificationService() as service, resources({"ntfy": "tk_1234567890"}) as shared:
        made = make_channel(kind="ntfy", server=service.url, topic="alerts", token={"secret": "ntfy"})
        await made.create_sender(shared).send(message(), None)

    (request,) = service.requests
    assert (request.path, request.headers["authorization"]) == ("/", "Bearer tk_1234567890")
    assert request.json()["topic"] == "alerts"
    assert request.json()["title"] == message().title
    assert request.json()["click"] == message().link


async def test_a_refusal_contains_the_reason_but_not_the_token() -> None:
    refusal = Answer(403, body=b'{"error":"forbidden for tk_1234567890"}')
    async with NotificationService(refusal) as service, resources({"ntfy": "tk_1234567890"}) as shared:
        made = make_channel(kind="ntfy", server=service.url, topic="alerts", token={"secret": "ntfy"})
        with pytest.raises(SendFailed, match=r"forbidden for \*\*\*") as failed:
            await made.create_sender(shared).send(message(), None)
    assert failed.value.is_permanent


@pytest.mark.parametrize(
    ("kind", "severity", "priority"),
    [
        (TransitionKind.OPENED, "down", 5),
        (TransitionKind.OPENED, "degraded", 3),
        (TransitionKind.OPENED, "blind", 4),
        (TransitionKind.NOTE_ADDED, "down", 2),
        (TransitionKind.RESOLVED, "down", 3),
    ],
)
def test_the_priority_follows_severity_and_transition(kind: TransitionKind, severity: str, priority: int) -> None:
    made = make_channel(kind="ntfy", topic="alerts")
    assert ntfy_content(made, message(kind, severity=severity))["priority"] == priority


def test_a_message_replaces_the_first_one_only_where_that_is_requested() -> None:
    plain, replacing = (make_channel(kind="ntfy", topic="alerts", replace=replace) for replace in (False, True))
    assert "sequence_id" not in ntfy_content(plain, message())
    assert ntfy_content(replacing, message())["sequence_id"] == message().incident_key


def test_a_long_text_is_cut_before_it_becomes_an_attachment() -> None:
    content = ntfy_content(make_channel(kind="ntfy", topic="alerts"), message(text="ü" * 10_000))
    assert len(content["message"].encode()) <= 4096


@pytest.mark.parametrize(
    "values", [{"topic": "a b"}, {"topic": "a", "priority": 6}, {"topic": "a", "server": "https://ntfy.sh?x=1"}, {}]
)
def test_an_invalid_channel_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        make_channel(kind="ntfy", **values)
