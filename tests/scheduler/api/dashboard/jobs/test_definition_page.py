"""GET /api/dashboard/jobs/{name}/definition, as the server sends it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PAGE = "/api/dashboard/jobs/checkout/definition"


def stored_job(url: str, **more: Any) -> dict[str, Any]:
    return {"name": "stored", "schedule": "every 10s", "check": {"kind": "http", "url": url}} | more


@virtual_time
async def test_the_definition_is_what_the_api_shows_without_secrets() -> None:
    auth = {"kind": "bearer", "token": {"secret": "checkout-token"}}
    job = entry(check={"kind": "http", "url": "http://127.0.0.1:9/", "auth": auth}, tags={"team": "payments"})
    async with ApiClient(jobs=[job]) as client:
        client.shop.tokens.values["checkout-token"] = "s3cr3t"
        text = visible_text(await get_page(client, PAGE))

    assert '"secret": "checkout-token"' in text
    assert "s3cr3t" not in text
    assert "The job is defined in jobs.yaml:1." in text


async def test_the_versions_stand_with_what_the_latest_changed() -> None:
    async with ApiClient() as client:
        await client.post_json("/api/jobs", stored_job("http://127.0.0.1:9/a"))
        await client.request(
            "PATCH",
            "/api/jobs/stored",
            json={"check": {"url": "http://127.0.0.1:9/<b>"}, "tags": {"team": "payments"}},
            headers={"if-match": "*", "content-type": "application/merge-patch+json"},
        )
        page = await get_page(client, PAGE.replace("checkout", "stored"))

    text = visible_text(page)
    assert "2 in force" in text
    assert "What version 2 changed compared with 1" in text
    assert 'check.url \N{MINUS SIGN} "http://127.0.0.1:9/a" + "http://127.0.0.1:9/<b>"' in text
    assert 'tags.team not set + "payments"' in text
    assert not has_inline_code(page)


async def test_a_version_that_is_not_retained_is_not_found() -> None:
    async with ApiClient() as client:
        await client.post_json("/api/jobs", stored_job("http://127.0.0.1:9/a"))
        sent = await client.get(PAGE.replace("checkout", "stored"), version=7)

    assert sent.status_code == 404


@pytest.mark.parametrize("query", ["?page=2", "?version=x"])
async def test_a_parameter_that_cannot_be_used_is_refused(query: str) -> None:
    async with ApiClient() as client:
        assert (await client.get(f"{PAGE}{query}")).status_code in (400, 422)


async def test_every_link_works_and_hands_on_the_function_key() -> None:
    async with ApiClient() as client:
        await client.post_json("/api/jobs", stored_job("http://127.0.0.1:9/a"))
        addresses = find_links(await get_page(client, PAGE.replace("checkout", "stored"), code="a/b+c=="))

        assert all("code=a%2Fb%2Bc%3D%3D" in address for address in addresses)
        assert {(await client.get(address)).status_code for address in addresses} == {200}
