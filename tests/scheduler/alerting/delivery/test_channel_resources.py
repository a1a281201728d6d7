"""What channels share: connections that the target guard allows, secrets and tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from jobs.checks.guard import LOCAL_GUARD, Guard, TargetRules
from jobs.errors import SecretUnavailable, TokenUnavailable
from jobs.notifications.port import SendFailed
from jobs.ports import CredentialRefresh
from scheduler.alerting.delivery.channel_resources import GuardedChannelResources
from tests.parts import bad_servers
from tests.parts.http_server import Answer
from tests.parts.mail_server import MailServerPart
from tests.parts.notifications import NotificationService, make_channel, message
from tests.parts.tls import ca_file

PUBLIC_ONLY = Guard(TargetRules())


class FakeSecrets:
    def __init__(self, **values: str) -> None:
        self._values = values

    async def get_secret(self, name: str) -> str:
        if name not in self._values:
            raise SecretUnavailable(f"The secret {name} does not exist.")
        return self._values[name]

    async def get_token(self, scope: str) -> str:
        raise TokenUnavailable(f"There is no token for {scope}.")

    async def refresh_rejected(self, name: str, rejected: str) -> CredentialRefresh:
        raise NotImplementedError


@asynccontextmanager
async def shared(guard: Guard = LOCAL_GUARD, **secrets: str) -> AsyncIterator[GuardedChannelResources]:
    values = FakeSecrets(**secrets)
    made = GuardedChannelResources(values, values, guard)
    try:
        yield made
    finally:
        await made.close()


async def test_a_channel_sends_by_the_guarded_client() -> None:
    answer = Answer(202, framing="chunked", body=b"accepted")
    async with NotificationService(answer) as service, shared(hook=service.url) as resources:
        await make_channel(kind="teams", url={"secret": "hook"}).create_sender(resources).send(message(), None)
    assert service.requests[0].json()["type"] == "message"


async def test_https_is_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", ca_file())
    for kind, expected in (("good", 1), ("wrong_name", 0)):
        async with NotificationService(tls=kind) as service, shared(hook=service.url) as resources:  # type: ignore[arg-type]
            sender = make_channel(kind="teams", url={"secret": "hook"}).create_sender(resources)
            if expected:
                await sender.send(message(), None)
            else:
                with pytest.raises(SendFailed, match="certificate"):
                    await sender.send(message(), None)
        assert len(service.requests) == expected


async def test_an_address_that_is_not_allowed_gets_no_request_and_is_permanent() -> None:
    async with NotificationService() as service, shared(PUBLIC_ONLY, hook=service.url) as resources:
        with pytest.raises(SendFailed) as failed:
            await make_channel(kind="teams", url={"secret": "hook"}).create_sender(resources).send(message(), None)
    assert failed.value.is_permanent
    assert (service.connections, service.requests) == (0, [])


async def test_a_scheme_that_is_not_allowed_gets_no_request() -> None:
    guard = Guard(TargetRules(schemes=frozenset({"https"})))
    async with NotificationService() as service, shared(guard, hook=service.url) as resources:
        with pytest.raises(SendFailed, match="scheme http"):
            await make_channel(kind="teams", url={"secret": "hook"}).create_sender(resources).send(message(), None)
    assert service.connections == 0


async def test_a_mail_is_sent_over_an_allowed_connection() -> None:
    mail = {"kind": "email", "host": "localhost", "security": "none", "from": "a@example.com", "to": ["b@example.com"]}
    async with MailServerPart() as server:
        async with shared() as resources:
            await make_channel(**mail, port=server.port).create_sender(resources).send(message(), None)
        async with shared(PUBLIC_ONLY) as resources:
            with pytest.raises(SendFailed) as failed:
                await make_channel(**mail, port=server.port).create_sender(resources).send(message(), None)
    assert failed.value.is_permanent
    assert len(server.mails) == 1


async def test_a_refused_connection_is_temporary() -> None:
    async with bad_servers.refused_port() as server, shared() as resources:
        with pytest.raises(SendFailed, match="refused") as failed:
            await resources.connect("127.0.0.1", server.port)
    assert not failed.value.is_permanent


async def test_a_host_is_checked_for_libraries() -> None:
    async with shared(PUBLIC_ONLY) as resources:
        with pytest.raises(SendFailed, match=r"127\.0\.0\.1"):
            await resources.check_host("127.0.0.1", 443)


async def test_an_unavailable_secret_or_token_is_a_failure() -> None:
    async with shared() as resources:
        with pytest.raises(SendFailed, match="The secret hook does not exist"):
            await resources.read_secret("hook")
        with pytest.raises(SendFailed, match="no token"):
            await resources.get_token("api://x/.default")
