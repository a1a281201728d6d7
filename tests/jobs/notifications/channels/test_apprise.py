"""The channel `apprise` against a server on loopback, by its service for JSON."""

from __future__ import annotations

import asyncio
import logging
import threading

import pytest

from jobs.incidents.values import TransitionKind
from jobs.notifications.channels.apprise import AppriseChannel, AppriseSender
from jobs.notifications.port import SendFailed
from tests.parts import bad_servers
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, make_channel, message, resources

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
"""Of the library, on Python 3.11 and 3.12."""


def channel(timeout: float = 10.0) -> AppriseChannel:
    made = make_channel(kind="apprise", url={"secret": "service"}).model_copy(update={"timeout": timeout})
    assert isinstance(made, AppriseChannel)
    return made


def url(service: NotificationService | bad_servers.BadServer) -> str:
    return f"json://robot:s3cret-word@127.0.0.1:{service.port}/hooks/a1b2c3d4e5"


async def failure_of(made: AppriseChannel, address: str, denied: frozenset[str] = frozenset()) -> SendFailed:
    async with resources({"service": address}, denied) as shared:
        with pytest.raises(SendFailed) as failed:
            await made.create_sender(shared).send(message(), None)
    return failed.value


async def test_a_message_is_sent_by_the_library() -> None:
    async with NotificationService() as service, resources({"service": url(service)}) as shared:
        sender = channel().create_sender(shared)
        await sender.send(message(), None)
        await sender.send(message(TransitionKind.RESOLVED, 2), None)

    first, second = (request.json() for request in service.requests)
    assert first["title"] == message().title
    assert "Observed: 503" in first["message"]
    assert (first["type"], second["type"]) == ("failure", "success")


@pytest.mark.parametrize(("status", "permanent"), [(404, True), (429, False), (500, False)])
async def test_a_failure_has_the_logged_reason_and_no_secret(status: int, permanent: bool) -> None:
    async with NotificationService(Answer(status)) as service:
        failed = await failure_of(channel(), url(service))
    assert f"error={status}" in str(failed)
    assert failed.is_permanent is permanent
    assert "s3cret" not in str(failed)


async def test_a_reset_connection_is_temporary() -> None:
    async with bad_servers.reset_after_request() as server:
        failed = await failure_of(channel(), url(server))
    assert "connection error" in str(failed).lower()
    assert not failed.is_permanent


async def test_a_second_message_waits_for_the_thread_of_the_first() -> None:
    gate = asyncio.Event()
    async with NotificationService(Answer(gate=gate)) as service, resources({"service": url(service)}) as shared:
        sender = AppriseSender(channel(timeout=0.2), shared)
        with pytest.raises(SendFailed, match=r"within 0\.2 s"):
            await sender.send(message(), None)
        with pytest.raises(SendFailed, match="has not finished the previous message"):
            await sender.send(message(), None)
        (thread,) = [each for each in threading.enumerate() if each.name == "notification"]
        gate.set()
        await asyncio.to_thread(thread.join)
        await sender.send(message(), None)
    assert len(service.requests) == 2


@pytest.mark.parametrize("address", ["nothing", "unknown://a/b", "syslog://", "https://example.com"])
async def test_an_address_without_a_service_names_the_secret(address: str) -> None:
    failed = await failure_of(channel(), address)
    assert str(failed) == "the secret service is not a URL that Apprise accepts"
    assert failed.is_permanent


async def test_a_host_that_the_guard_refuses_gets_no_request() -> None:
    async with NotificationService() as service:
        failed = await failure_of(channel(), url(service), frozenset({"127.0.0.1"}))
    assert "not an allowed host" in str(failed)
    assert service.requests == []


async def test_a_redirect_is_not_followed() -> None:
    async with NotificationService(Answer(307, {"location": "/other"})) as service:
        await failure_of(channel(), url(service))
    assert len(service.requests) == 1


async def test_the_library_writes_nothing_to_our_log() -> None:
    records: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        async with NotificationService(Answer(500)) as service:
            await failure_of(channel(), url(service))
    finally:
        logging.getLogger().removeHandler(handler)
    assert [record for record in records if record.name.startswith("apprise")] == []
