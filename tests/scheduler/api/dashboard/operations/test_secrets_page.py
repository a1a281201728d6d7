"""GET /api/dashboard/secrets, as the server sends it."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from scheduler.stores.findings import SecretExpiry
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import START, MemoryTrouble, entry

PATH = "/api/dashboard/secrets"
CANARY = "canary-9f2c1d"


def check(secret: str) -> dict[str, object]:
    return {"url": "http://127.0.0.1:9/", "auth": {"kind": "bearer", "token": {"secret": secret}}}


def listed(page: str) -> list[str]:
    return re.findall(r'<tr id="secret-([^"]+)"', page)


@virtual_time
async def test_secrets_with_a_problem_are_first_and_no_value_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = [
        entry(check=check("a-token")),
        entry("other", check=check("b-token")),
        entry("third", check=check("b-token")),
    ]
    async with ApiClient(jobs=[*jobs, entry("fourth", check=check("c-token"))]) as client:
        secrets = client.shop.secrets
        secrets.values = {"a-token": CANARY, "b-token": CANARY}
        await client.post("/api/secrets/a-token/refresh")
        await client.shop.clock.sleep(60)
        monkeypatch.setattr(secrets, "health", lambda: (MemoryTrouble("b-token", "the vault refused <b>access</b>"),))
        page = await get_page(client, PATH)
        filtered = await get_page(client, PATH, state="unavailable")
        by_job = await get_page(client, PATH, job="third")

    assert listed(page) == ["b-token", "a-token", "c-token"]
    text = visible_text(page)
    assert "3 secrets: 1 unavailable, 1 available, 1 not read" in text
    assert "b-token unavailable the vault refused <b>access</b>" in text
    assert "a-token available the vault read 1 min ago" in text
    assert "other, third" in text
    assert CANARY not in page
    assert 'data-action="POST /api/secrets/a-token/refresh"' in page
    assert listed(filtered) == listed(by_job) == ["b-token"]
    assert not has_inline_code(page)


@virtual_time
async def test_a_secret_that_expires_reports_its_date() -> None:
    async with ApiClient(jobs=[entry(check=check("a-token"))]) as client:
        expiry = SecretExpiry(at=START + timedelta(days=3), past=False)
        await client.shop.secret_watch.record_expiry("a-token", expiry)
        text = visible_text(await get_page(client, PATH))

    assert "expiring expires in 3 d: add a new version to the vault" in text


async def test_further_secrets_are_on_further_pages() -> None:
    jobs = [entry(f"job-{number:02}", check=check(f"token-{number:02}")) for number in range(60)]
    async with ApiClient(jobs=jobs) as client:
        page = await get_page(client, PATH, name="TOKEN", code="KEY")
        (following,) = [each for each in find_links(page) if "continuation" in each]
        more = await get_page(client, following)

    assert [*listed(page), *listed(more)] == [f"token-{number:02}" for number in range(60)]
    assert "code=KEY" in following


async def test_without_secrets_the_page_says_how_a_job_names_one() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        assert "No job uses a secret." in visible_text(await get_page(client, PATH))
        assert "No secret matches these filters." in visible_text(await get_page(client, PATH, name="x"))
