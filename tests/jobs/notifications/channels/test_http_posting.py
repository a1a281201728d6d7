"""What becomes of the failures of an HTTP service: the same for every channel."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from jobs.notifications.channels.http_posting import Posting, SecretHider, describe_endpoint, post
from jobs.notifications.port import SendFailed
from tests.parts import bad_servers
from tests.parts.http_server import Answer
from tests.parts.notifications import NotificationService, resources


async def failure_of(url: str, timeout_s: float = 5.0) -> SendFailed:
    async with resources() as shared:
        with pytest.raises(SendFailed) as failed:
            await post(shared, Posting.of_json(url, {}), timeout_s=timeout_s)
    return failed.value


@pytest.mark.parametrize(
    ("status", "permanent"),
    [(400, True), (401, True), (404, True), (408, False), (425, False), (429, False), (500, False), (503, False)],
)
async def test_a_status_is_permanent_or_temporary(status: int, permanent: bool) -> None:
    async with NotificationService(Answer(status)) as service:
        failed = await failure_of(service.url)
    assert failed.is_permanent is permanent
    assert f"status {status}" in str(failed)


async def test_retry_after_is_handed_on() -> None:
    async with NotificationService(Answer(429, {"retry-after": "7"})) as service:
        assert (await failure_of(service.url)).retry_after == 7.0


async def test_a_redirect_is_not_followed() -> None:
    async with NotificationService(Answer(307, {"location": "/other"})) as service:
        failed = await failure_of(service.url)
    assert len(service.requests) == 1
    assert failed.is_permanent
    assert "redirects are not followed" in str(failed)


async def test_a_service_that_never_responds_ends_with_the_time_limit() -> None:
    async with bad_servers.black_hole() as server:
        failed = await failure_of(server.url, 0.05)
    assert str(failed).startswith(f"127.0.0.1:{server.port} did not respond")
    assert not failed.is_permanent


async def test_a_reset_connection_is_temporary() -> None:
    async with bad_servers.reset_after_request() as server:
        failed = await failure_of(server.url)
    assert not failed.is_permanent
    assert str(failed).startswith("the request to 127.0.0.1")


async def test_a_certificate_that_is_not_trusted_is_a_failure() -> None:
    async with NotificationService(tls="self_signed") as service:
        failed = await failure_of(service.url)
    assert "certificate" in str(failed).lower()
    assert service.requests == []


async def test_an_endless_response_is_cut() -> None:
    async with NotificationService(Answer(body=b"a" * 500_000)) as service, resources() as shared:
        response = await post(shared, Posting.of_json(service.url, {}))
    assert len(response.body) == 64 * 1024


@pytest.mark.parametrize(("status", "permanent"), [(200, True), (500, False)])
async def test_a_small_response_that_expands_is_not_expanded(status: int, permanent: bool) -> None:
    """400 bytes that are 64 MiB: a success whose body cannot be read is not repeated, other statuses as always."""
    body = gzip.compress(gzip.compress(bytes(64 * 1024 * 1024)))
    async with NotificationService(Answer(status, {"content-encoding": "gzip, gzip"}, body)) as service:
        tracemalloc.start()
        try:
            failed = await failure_of(service.url)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 4 * 1024 * 1024
    assert failed.is_permanent is permanent
    assert ("encoded as gzip, gzip" in str(failed)) is permanent
    assert service.requests[0].headers["accept-encoding"] == "identity"


def test_the_endpoint_of_an_error_has_no_path_and_no_credentials() -> None:
    assert describe_endpoint("https://user:pass@hooks.example.com:8443/T0/B0/key?sig=1") == "hooks.example.com:8443"


def test_a_secret_is_hidden_even_where_the_text_is_cut() -> None:
    hide = SecretHider(["s3cret-of-the-service"])
    assert "s3cret" not in hide("x" * 190 + "s3cret-of-the-service")
