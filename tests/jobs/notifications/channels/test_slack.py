"""The channel `slack` against a server on loopback."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.slack import SlackChannel, slack_content
from jobs.notifications.port import SendFailed, SentReference
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, make_channel, message, resources

SECRETS = {"slack-token": "xoxb-the-bot-token"}
POSTED = Answer.of_json({"ok": True, "channel": "C0123", "ts": "1795834980.000100"})
FIRST = SentReference('{"channel": "C0123", "ts": "1795834980.000100"}')


def bot(service: NotificationService) -> SlackChannel:
    made = make_channel(kind="slack", token={"secret": "slack-token"}, channel="#alerts", api_url=f"{service.url}/api")
    assert isinstance(made, SlackChannel)
    return made


async def send(service: NotificationService, kind: TransitionKind, first: SentReference | None) -> SentReference | None:
    async with resources(SECRETS) as shared:
        return await bot(service).create_sender(shared).send(message(kind), first)


async def test_the_first_message_is_posted_and_its_place_returned() -> None:
    async with NotificationService(POSTED) as service:
        reference = await send(service, TransitionKind.OPENED, None)

    (request,) = service.requests
    assert request.path == "/api/chat.postMessage"
    assert request.headers["authorization"] == "Bearer xoxb-the-bot-token"
    assert request.json()["channel"] == "#alerts"
    assert reference == FIRST


async def test_a_resolution_changes_the_first_message_and_replies_to_it() -> None:
    async with NotificationService(POSTED) as service:
        reference = await send(service, TransitionKind.RESOLVED, FIRST)

    edit, reply = service.requests
    assert edit.path == "/api/chat.update"
    assert (edit.json()["channel"], edit.json()["ts"]) == ("C0123", "1795834980.000100")
    assert edit.json()["text"] == "RESOLVED checkout, was down 9 min"
    assert reply.path == "/api/chat.postMessage"
    assert reply.json()["thread_ts"] == "1795834980.000100"
    assert reference == FIRST


@pytest.mark.parametrize(("kind", "is_loud"), [(TransitionKind.REMINDED, True), (TransitionKind.NOTE_ADDED, False)])
async def test_a_reminder_is_shown_in_the_channel_and_a_note_in_the_thread_alone(
    kind: TransitionKind, is_loud: bool
) -> None:
    async with NotificationService(POSTED) as service:
        await send(service, kind, FIRST)
    assert service.requests[1].json().get("reply_broadcast", False) is is_loud


async def test_a_deleted_first_message_is_replaced() -> None:
    gone = Answer.of_json({"ok": False, "error": "message_not_found"})
    again = Answer.of_json({"ok": True, "channel": "C0123", "ts": "1795834999.000200"})
    async with NotificationService(gone, again) as service:
        reference = await send(service, TransitionKind.REMINDED, FIRST)
    assert "thread_ts" not in service.requests[1].json()
    assert reference == SentReference('{"channel": "C0123", "ts": "1795834999.000200"}')


@pytest.mark.parametrize(
    ("error", "permanent", "text"),
    [
        ("not_in_channel", True, "invite the app to the channel"),
        ("missing_scope", True, "the app needs the scope chat:write"),
        ("ratelimited", False, "ratelimited"),
        ("internal_error", False, "internal_error"),
    ],
)
async def test_a_refusal_with_status_200_is_a_failure(error: str, permanent: bool, text: str) -> None:
    async with NotificationService(Answer.of_json({"ok": False, "error": error})) as service:
        with pytest.raises(SendFailed, match=text) as failed:
            await send(service, TransitionKind.OPENED, None)
    assert failed.value.is_permanent is permanent


async def test_a_response_that_is_not_slacks_is_a_failure() -> None:
    async with NotificationService(Answer(200, body=b"<html>proxy</html>")) as service:
        with pytest.raises(SendFailed, match="is not its JSON object"):
            await send(service, TransitionKind.OPENED, None)


async def test_the_limit_of_slack_is_handed_on() -> None:
    async with NotificationService(Answer(429, {"retry-after": "30"})) as service:
        with pytest.raises(SendFailed) as failed:
            await send(service, TransitionKind.OPENED, None)
    assert (failed.value.retry_after, failed.value.is_permanent) == (30.0, False)


async def test_an_incoming_webhook_sends_each_message_alone() -> None:
    secrets: dict[str, str] = {}
    async with NotificationService(Answer(200, body=b"ok")) as service, resources(secrets) as shared:
        secrets["hook"] = f"{service.url}/services/T0/B0/s3cretpath12"
        sender = make_channel(kind="slack", url={"secret": "hook"}).create_sender(shared)
        assert await sender.send(message(), None) is None
        await sender.send(message(TransitionKind.RESOLVED, 2), None)
    assert [request.path for request in service.requests] == ["/services/T0/B0/s3cretpath12"] * 2


def test_a_text_of_a_target_cannot_notify_a_channel() -> None:
    content = slack_content(message(title="DOWN <!channel>", text="<!here> & <https://evil.example|click>"))
    assert "<!" not in str(content)
    assert "&lt;!here&gt; &amp;" in str(content)


def test_a_long_message_stays_within_the_limits_of_slack() -> None:
    facts = tuple((f"fact {number}", "x" * 5000) for number in range(30))
    content = slack_content(message(text="y" * 100_000, facts=facts))
    blocks = content["attachments"][0]["blocks"]
    assert all(len(block["text"]["text"]) <= 3000 for block in blocks if "text" in block)
    sections = [block["fields"] for block in blocks if "fields" in block]
    assert [len(fields) for fields in sections] == [10, 10, 10]
    assert all(len(field["text"]) <= 2000 for fields in sections for field in fields)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "requires either url"),
        ({"url": {"secret": "a"}, "token": {"secret": "b"}, "channel": "C1"}, "requires either url"),
        ({"token": {"secret": "b"}}, "token and channel belong together"),
        ({"url": "https://hooks.slack.com/services/T/B/key"}, "must not contain a secret value"),
    ],
)
def test_an_invalid_channel_says_what_is_wrong(values: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError, match=problem) as error:
        make_channel(kind="slack", **values)
    assert "hooks.slack.com" not in str(error.value)
