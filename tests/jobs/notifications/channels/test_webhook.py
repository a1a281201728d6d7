"""The channel `webhook` against a server on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.notifications.channels.webhook import WebhookChannel, WebhookSender, sign_webhook
from jobs.notifications.port import SendFailed
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, make_channel, message, resources


def channel(url: Any, **more: Any) -> WebhookChannel:
    made = make_channel(kind="webhook", url=url, **more)
    assert isinstance(made, WebhookChannel)
    return made


async def test_the_default_body_contains_every_field_of_the_message() -> None:
    async with NotificationService() as service, resources() as shared:
        await channel(service.url).create_sender(shared).send(message(), None)

    body = service.requests[0].json()
    assert body["title"] == message().title
    assert body["facts"]["Failing since"] == "2026-11-28 03:01:00 UTC"
    assert body["tags"] == {"team": "payments", "stage": "prod"}
    assert service.requests[0].headers["webhook-id"] == message().dedup_key


async def test_a_body_of_templates_is_rendered_with_types() -> None:
    body = {"summary": "{{ severity|upper }}: {{ subject }}", "n": "{{ number }}", "labels": ["{{ tags }}"], "ok": True}
    async with NotificationService() as service, resources() as shared:
        await channel(service.url, body=body).create_sender(shared).send(message(), None)

    expected = {"summary": "DOWN: checkout", "n": 1, "labels": [{"team": "payments", "stage": "prod"}], "ok": True}
    assert service.requests[0].json() == expected


async def test_a_signature_verifies_with_the_key_over_id_timestamp_and_body() -> None:
    async with NotificationService() as service, resources({"hook-key": "k3y-of-the-hook"}) as shared:
        signed = channel(service.url, signing_key={"secret": "hook-key"})
        await WebhookSender(signed, shared, clock=lambda: 1_795_834_980.7).send(message(), None)

    (request,) = service.requests
    assert request.headers["webhook-timestamp"] == "1795834980"
    signed_bytes = f"{message().dedup_key}.1795834980.".encode() + request.body
    digest = hmac.new(b"k3y-of-the-hook", signed_bytes, hashlib.sha256).digest()
    assert request.headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"


def test_the_signature_is_that_of_the_published_example() -> None:
    """The example of the Standard Webhooks specification."""
    signature = sign_webhook(
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "msg_loFOjxBNrRLzqYUf",
        "1731705121",
        b'{"event_type":"ping","data":{"success":true}}',
    )
    assert signature == "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0="


async def test_headers_and_url_can_be_secrets() -> None:
    async with NotificationService() as service:
        secrets = {"hook-url": f"{service.url}/hooks/a1b2c3d4e5f6g7", "hook-token": "Bearer t0ken"}
        async with resources(secrets) as shared:
            made = channel({"secret": "hook-url"}, headers={"Authorization": {"secret": "hook-token"}}, method="PUT")
            await made.create_sender(shared).send(message(), None)

    (request,) = service.requests
    assert (request.method, request.target) == ("PUT", "/hooks/a1b2c3d4e5f6g7")
    assert request.headers["authorization"] == "Bearer t0ken"


async def test_an_error_contains_neither_the_key_nor_the_path_of_a_secret_url() -> None:
    echo = Answer(400, body=b"no hook a1b2c3d4e5f6g7 for t0ken-of-the-hook")
    async with NotificationService(echo) as service:
        secrets = {"hook-url": f"{service.url}/hooks/a1b2c3d4e5f6g7", "token": "t0ken-of-the-hook"}
        async with resources(secrets) as shared:
            made = channel({"secret": "hook-url"}, headers={"X-Token": {"secret": "token"}})
            with pytest.raises(SendFailed) as failed:
                await made.create_sender(shared).send(message(), None)

    assert str(failed.value) == f"127.0.0.1:{service.port} responded with status 400: no hook *** for ***"
    assert failed.value.is_permanent


async def test_a_missing_secret_is_reported_by_name() -> None:
    async with resources() as shared:
        with pytest.raises(SendFailed, match="hook-url"):
            await channel({"secret": "hook-url"}).create_sender(shared).send(message(), None)


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"body": {"text": "{{ titel }}"}}, "line 1: 'titel' is not a name of messages, did you mean title?"),
        ({"body": "{{ title"}, "line 1: "),
        ({"signing_key": "plain-key"}, "must not contain a secret value"),
        ({"headers": {"webhook-id": "1"}}, "webhook-id is set by the program"),
        ({"url": "example.com/hook"}, "has no scheme"),
        ({"method": "GET"}, "'POST' or 'PUT'"),
        ({"timeout": "5m"}, "less than or equal to 60"),
    ],
)
def test_an_invalid_channel_says_what_is_wrong(more: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        channel(**{"url": "https://hooks.example.com", **more})
    assert problem in str(error.value)
    assert "plain-key" not in str(error.value)
