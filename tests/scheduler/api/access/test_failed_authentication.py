"""Healthy callers beside an attacker with the same address: invalid credentials are limited, valid ones are not."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.authentication.own import FRESH_TIME
from scheduler.identity.api_keys import create_api_key_text
from scheduler.identity.principal import Role
from tests.scheduler.api.routes.test_sessions import PAGE, SAME_ORIGIN, SIGN_IN, Site, sign_in

LIMIT = 3


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with limited_site() as found:
        yield found


def limited_site() -> Site:
    return Site(failed_authentication=f"{LIMIT}/minute")


async def attack(site: Site, number: int = LIMIT + 1) -> list[int]:
    """Send requests with invented keys."""
    return [(await send_key(site, invent_key())).status_code for _ in range(number)]


async def send_key(site: Site, key: str) -> httpx.Response:
    return await site.request("GET", "/api/jobs", headers={"x-api-key": key})


def invent_key() -> str:
    return create_api_key_text(Role.ADMIN)[1]


@pytest.mark.parametrize("header", [{"x-api-key": "{}"}, {"authorization": "Bearer {}"}])
async def test_a_valid_key_passes_beside_invalid_ones(site: Site, header: dict[str, str]) -> None:
    key = await site.create_key()
    assert await attack(site) == [401] * LIMIT + [429]

    headers = {name: value.format(key) for name, value in header.items()}
    answers = [await site.request("GET", "/api/jobs", headers=headers) for _ in range(10)]

    assert [answer.status_code for answer in answers] == [200] * 10


async def test_a_key_that_is_used_for_the_first_time_passes_beside_invalid_ones(site: Site) -> None:
    await attack(site)
    site.identity_clock.passed += FRESH_TIME

    assert (await send_key(site, await site.create_key("new"))).status_code == 200


async def test_a_session_and_the_sign_in_page_work_beside_invalid_keys(site: Site) -> None:
    await sign_in(site, await site.create_key())
    await attack(site)

    shown = await site.request("GET", "/api/dashboard", headers=PAGE)
    site.cookies.clear()
    redirected = await site.request("GET", "/api/dashboard", headers=PAGE)
    form = await site.request("GET", SIGN_IN, headers=PAGE)
    await sign_in(site, await site.create_key("other"))

    assert (shown.status_code, redirected.status_code, form.status_code) == (200, 303, 200)


@pytest.mark.parametrize("path", [SIGN_IN, "/api/session"])
async def test_a_sign_in_with_an_invalid_key_counts_and_is_limited(site: Site, path: str) -> None:
    def invalid() -> dict[str, dict[str, str]]:
        return {"data": {"key": invent_key()}} if path == SIGN_IN else {"headers": {"x-api-key": invent_key()}}

    statuses = []
    for _ in range(LIMIT + 2):
        fields = invalid()
        headers = {**SAME_ORIGIN, **fields.pop("headers", {})}
        statuses.append((await site.request("POST", path, headers=headers, **fields)).status_code)

    assert statuses == [401] * LIMIT + [429] * 2


async def test_invented_keys_beyond_the_limit_cost_no_read_of_the_store_each(site: Site) -> None:
    await attack(site)
    reads = site.identity_store.reads

    assert await attack(site, 200) == [429] * 200
    assert site.identity_store.reads <= reads + 1


async def test_a_known_id_with_another_secret_is_limited_as_an_invented_key(site: Site) -> None:
    key = await site.create_key()
    await attack(site)
    stolen = f"{key[:17]}{invent_key()[17:]}"

    assert (await send_key(site, stolen)).status_code == 429


async def test_requests_beyond_the_limit_are_neither_logged_nor_audited(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    await attack(site)
    caplog.clear()
    with caplog.at_level(logging.INFO, "scheduler.api"):
        await attack(site, 20)
        await site.request("POST", SIGN_IN, headers=SAME_ORIGIN, data={"key": invent_key()})

    assert caplog.records == []


async def test_health_and_missing_credentials_are_answered_as_ever(site: Site) -> None:
    await attack(site)

    answers = [await site.get(path) for path in ("/api/health/ready", "/api/jobs")]

    assert [answer.status_code for answer in answers] == [200, 401]


async def test_the_response_names_the_limit_and_when_to_retry(site: Site) -> None:
    await attack(site)
    refused = await send_key(site, invent_key())

    assert "www-authenticate" not in refused.headers
    assert int(refused.headers["retry-after"]) <= 60
    assert "Too many requests of this address failed authentication: at most 3 in 60 s" in refused.json()["detail"]


CREDENTIALS = ("key", "bearer", "session", "invented", "misspelt")


@given(st.lists(st.sampled_from(CREDENTIALS)))
async def test_whatever_comes_from_an_address_valid_credentials_pass_and_invalid_ones_are_limited(
    sent: list[str],
) -> None:
    async with limited_site() as site:
        key = await site.create_key()
        await sign_in(site, key)
        cookies = dict(site.cookies)
        statuses = []
        for kind in sent:
            site.cookies.clear()
            site.cookies.update(cookies if kind == "session" else {})
            text = {"invented": invent_key(), "misspelt": f"{key}x"}.get(kind, key)
            headers = {"x-api-key": text} if kind == "key" else {"authorization": f"Bearer {text}"}
            headers = {} if kind == "session" else headers
            statuses.append((await site.request("GET", "/api/jobs", headers=headers)).status_code)

    is_invalid = [kind in ("invented", "misspelt") for kind in sent]
    failures = [status for status, invalid in zip(statuses, is_invalid, strict=True) if invalid]
    assert failures == ([401] * LIMIT + [429] * len(sent))[: len(failures)]
    assert {status for status, invalid in zip(statuses, is_invalid, strict=True) if not invalid} <= {200}
