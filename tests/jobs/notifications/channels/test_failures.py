"""Each channel over HTTP against the same failures: a temporary or permanent SendFailed, without secrets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobs.notifications.port import SendFailed
from tests.parts import bad_servers
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, make_channel, message, resources

KEY = "s3cret-key-of-the-service"

CHANNELS: dict[str, Callable[[str], dict[str, Any]]] = {
    "slack webhook": lambda url: {"kind": "slack", "url": {"secret": "url"}},
    "slack bot": lambda url: {"kind": "slack", "token": {"secret": "key"}, "channel": "C1", "api_url": url},
    "teams": lambda url: {"kind": "teams", "url": {"secret": "url"}},
    "ntfy": lambda url: {"kind": "ntfy", "server": url, "topic": "alerts", "token": {"secret": "key"}},
    "webhook": lambda url: {"kind": "webhook", "url": {"secret": "url"}, "signing_key": {"secret": "key"}},
    "apprise": lambda url: {"kind": "apprise", "url": {"secret": "apprise"}},
}
pytestmark = [
    pytest.mark.parametrize("name", CHANNELS),
    pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning"),
]


async def failure_of(name: str, url: str, timeout_s: float = 10.0) -> SendFailed:
    secrets = {"url": f"{url}/hooks/{KEY}", "key": KEY, "apprise": url.replace("http", "json") + f"/hooks/{KEY}"}
    made = make_channel(**CHANNELS[name](url)).model_copy(update={"timeout": timeout_s})
    async with resources(secrets) as shared:
        with pytest.raises(SendFailed) as failed:
            await made.create_sender(shared).send(message(), None)
    assert KEY not in str(failed.value)
    return failed.value


@pytest.mark.parametrize(("status", "permanent"), [(500, False), (429, False), (404, True)])
async def test_a_status_is_a_failure(name: str, status: int, permanent: bool) -> None:
    async with NotificationService(Answer(status, {"retry-after": "9"}, f"no {KEY}".encode())) as service:
        failed = await failure_of(name, service.url)
    assert failed.is_permanent is permanent
    assert str(status) in str(failed)
    assert failed.retry_after == (None if name == "apprise" else 9.0)


async def test_a_service_that_never_responds_is_a_temporary_failure(name: str) -> None:
    async with bad_servers.black_hole() as server:
        failed = await failure_of(name, server.url, 0.05)
    assert "did not respond" in str(failed)
    assert not failed.is_permanent


async def test_a_reset_connection_is_a_temporary_failure(name: str) -> None:
    async with bad_servers.reset_after_request() as server:
        assert not (await failure_of(name, server.url)).is_permanent


async def test_an_invalid_certificate_is_a_failure_before_the_message_is_sent(name: str) -> None:
    async with NotificationService(tls="wrong_name") as service:
        failed = await failure_of(name, service.url)
    assert not failed.is_permanent
    assert service.requests == []
