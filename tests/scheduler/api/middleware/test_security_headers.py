"""Headers that every answer carries."""

from __future__ import annotations

import pytest

from tests.scheduler.api.api_client import ApiClient

ADDRESSES = {
    "/api/health": 200,
    "/api/jobs": 200,
    "/api/runs?limit=0": 400,
    "/api/nothing": 404,
    "/api/jobs/checkout/run": 405,
    "/api/openapi.json": 200,
    "/api/dashboard": 200,
    "/api/dashboard/": 307,
    "/api/dashboard/static/0/styles.css": 200,
    "/api/dashboard/static/0/nothing": 404,
    "/": 307,
}


@pytest.mark.parametrize("address", ADDRESSES)
async def test_every_answer_keeps_browsers_from_doing_harm(address: str) -> None:
    async with ApiClient() as client:
        answer = await client.get(address)

    headers = answer.headers
    assert answer.status_code == ADDRESSES[address]
    assert headers["cache-control"] == "no-store"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["x-frame-options"] == "DENY"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["strict-transport-security"].startswith("max-age=")
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert len(headers.get_list("content-security-policy")) == 1
    assert "server" not in headers


async def test_an_unforeseen_error_carries_them_too() -> None:
    async with ApiClient() as client:

        async def breaks(*_: object, **__: object) -> None:
            raise RuntimeError

        client.shop.runs.list_page = breaks  # type: ignore[assignment, method-assign]
        answer = await client.get("/api/runs")

    assert answer.status_code == 500
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    ("address", "location"), [("/api/runs/?limit=1", "/api/runs?limit=1"), ("/", "/api/dashboard")]
)
async def test_a_redirect_stays_on_its_connection(address: str, location: str) -> None:
    async with ApiClient() as client:
        answer = await client.get(address)

    assert (answer.status_code, answer.headers["location"]) == (307, location)


async def test_the_host_alone_leads_to_the_dashboard() -> None:
    async with ApiClient() as client:
        assert (await client.get("/")).headers["location"] == "/api/dashboard"


@pytest.mark.parametrize(
    "address",
    ["/api/health", "/api/health/live", "/api/health/ready", "/api/jobs", "/api/dashboard", "/api/openapi.json"],
)
async def test_head_is_answered_as_get_without_the_body(address: str) -> None:
    async with ApiClient() as client:
        head, got = await client.request("HEAD", address), await client.get(address)

    assert head.status_code == got.status_code == 200
    assert head.content == b""
    assert head.headers["content-type"] == got.headers["content-type"]
    assert int(head.headers["content-length"]) > 0
