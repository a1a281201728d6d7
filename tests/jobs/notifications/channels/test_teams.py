"""The channel `teams` against a server on loopback."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.http_posting import encode_json
from jobs.notifications.channels.teams import teams_content
from jobs.notifications.port import SendFailed
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, make_channel, message, resources


async def send(service: NotificationService) -> None:
    async with resources({"flow": f"{service.url}/workflows/abc/triggers/manual?sig=s1gnature-of-the-flow"}) as shared:
        await make_channel(kind="teams", url={"secret": "flow"}).create_sender(shared).send(message(), None)


async def test_an_adaptive_card_is_posted_to_the_workflow() -> None:
    async with NotificationService(Answer(202)) as service:
        await send(service)

    (request,) = service.requests
    assert request.query == {"sig": "s1gnature-of-the-flow"}
    (attachment,) = request.json()["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    assert attachment["content"]["fallbackText"] == message().title
    assert [action["title"] for action in attachment["content"]["actions"]] == ["Incident", "Runbook"]


@pytest.mark.parametrize(("status", "permanent"), [(404, True), (429, False), (500, False)])
async def test_a_failure_shows_neither_path_nor_signature(status: int, permanent: bool) -> None:
    async with NotificationService(Answer(status, body=b"bad sig s1gnature-of-the-flow")) as service:
        with pytest.raises(SendFailed) as failed:
            await send(service)
    assert failed.value.is_permanent is permanent
    assert "s1gnature" not in str(failed.value)


async def test_a_failure_inside_of_a_response_with_status_200_is_one() -> None:
    body = b"Webhook message delivery failed with error: Microsoft Teams endpoint returned HTTP error 429"
    async with NotificationService(Answer(200, body=body)) as service:
        with pytest.raises(SendFailed, match="status 429") as failed:
            await send(service)
    assert not failed.value.is_permanent


def test_a_long_message_becomes_a_card_that_teams_accepts() -> None:
    facts = tuple((f"fact {number}", "ä" * 3000) for number in range(40))
    content = teams_content(message(title="T" * 3000, text="ü" * 100_000, facts=facts))
    assert len(encode_json(content)) <= 28 * 1024


def test_a_text_of_a_target_is_not_markdown() -> None:
    content = str(teams_content(message(text="![x](https://evil.example/pixel.png) *bold*")))
    assert "![x]" not in content
    assert "*bold*" not in content


@pytest.mark.parametrize(("kind", "style"), [(TransitionKind.OPENED, "attention"), (TransitionKind.RESOLVED, "good")])
def test_the_style_shows_the_state(kind: TransitionKind, style: str) -> None:
    card = teams_content(message(kind))["attachments"][0]["content"]
    assert card["body"][0]["style"] == style


def test_the_url_is_only_accepted_as_a_secret() -> None:
    with pytest.raises(ValidationError, match="must not contain a secret value"):
        make_channel(kind="teams", url="https://prod.logic.azure.com/workflows/1?sig=abc")
