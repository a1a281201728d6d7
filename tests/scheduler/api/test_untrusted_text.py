"""Texts of targets and callers with control and direction characters: pages and JSON show them as escapes."""

from __future__ import annotations

import re

import httpx
import pytest

from jobs.runs import ErrorClass
from scheduler.api.middleware.stack import escape_json
from scheduler.stores.gates import Pause
from tests.jobs.running.run_parts import broken
from tests.scheduler.api.api_client import ApiClient

RAW = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
TEXT = "evil\u202egnp.exe\u2066 \u2067\u2069 \u0085\u009b31m \x7f\x1b[31m \u05d0\u05d1 \u200f\u2028."


async def client_with_a_hostile_run() -> tuple[ApiClient, str]:
    client = ApiClient(broken(ErrorClass.CONNECTION_REFUSED, TEXT))
    return client, await client.perform()


async def store_pause(client: ApiClient) -> None:
    """As an older version stored it: requests with such a reason are refused now."""
    await client.shop.pauses.set_pause(Pause("checkout", client.shop.clock.now(), None, TEXT))


@pytest.mark.parametrize("path", ["/api/dashboard", "/api/dashboard/jobs/checkout", "/api/dashboard/runs/{run}"])
async def test_no_page_shows_a_control_character_of_a_reason(path: str) -> None:
    client, run_id = await client_with_a_hostile_run()
    async with client:
        await store_pause(client)
        page = await client.get(path.format(run=run_id))

    assert page.status_code == 200
    assert not RAW.search(page.text)
    assert r"evil\u202egnp.exe\u2066" in page.text
    assert r"\x1b[31m" in page.text
    assert "<bdi>evil" in page.text or "overview" in page.text


async def test_an_error_page_shows_no_control_character_of_an_address() -> None:
    async with ApiClient() as client:
        page = await client.request("GET", "/api/dashboard/jobs/a%E2%80%AEb%1B%C2%9B", headers={"accept": "text/html"})

    assert page.status_code == 404
    assert not RAW.search(page.text)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", ["/api/jobs/checkout", "/api/jobs"])
async def test_json_has_them_as_escapes_and_means_the_same(path: str, method: str) -> None:
    async with ApiClient() as client:
        await store_pause(client)
        reported, head = await client.get(path), await client.request("HEAD", path)

    assert not RAW.search(reported.text)
    assert r"evil\u202egnp.exe\u2066" in reported.text
    found = reported.json().get("jobs", [reported.json()])[0]
    assert found["pause"]["reason"] == TEXT
    assert int(reported.headers["content-length"]) == int(head.headers["content-length"]) == len(reported.content)


async def test_what_is_refused_shows_no_control_character() -> None:
    async with ApiClient() as client:
        answers: list[httpx.Response] = [
            await client.get("/api/jobs/a%E2%80%AEb"),
            await client.request("POST", "/api/jobs/a%E2%80%AEb/run", headers={"origin": "null"}),
            await client.get("/api/runs?%E2%80%AE=1"),
            await client.request("POST", "/api/jobs/checkout/run", headers=[(b"origin", b"http://\x9b\x7f")]),
        ]

    for found in answers:
        assert found.headers["content-type"] == "application/problem+json"
        assert not RAW.search(found.text)


def test_letters_of_all_scripts_stay_in_json() -> None:
    body = '{"a":"Grüße 日本 \u05d0\u05d1 🎉 \u200d\u200e"}'.encode()

    assert escape_json(body) == body
