"""The address of the client: of the connection, of the platform, or of a proxy that the settings name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import httpx
import pytest

from scheduler.api.app import create_api
from scheduler.api.middleware.requests import BEHIND_PROXY, FUNCTION_NAME, find_client_address
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import BASE, ApiClient

HOPS = "10.9.9.9, 203.0.113.7:51000"


def scope(*forwarded: str, **more: Any) -> dict[str, Any]:
    headers = [(b"x-forwarded-for", each.encode()) for each in forwarded]
    return {"type": "http", "headers": headers, "client": ("192.0.2.1", 5000), **more}


@pytest.mark.parametrize(
    ("forwarded", "more", "address"),
    [
        ((HOPS,), {}, "192.0.2.1"),
        ((HOPS,), {"state": {BEHIND_PROXY: False}}, "192.0.2.1"),
        ((HOPS,), {"state": {BEHIND_PROXY: True}}, "203.0.113.7"),
        (("198.51.100.4", HOPS), {"state": {BEHIND_PROXY: True}}, "203.0.113.7"),
        ((), {"state": {BEHIND_PROXY: True}}, "192.0.2.1"),
        ((HOPS,), {FUNCTION_NAME: "read"}, "203.0.113.7"),
        (("2001:db8::7",), {FUNCTION_NAME: "read"}, "2001:db8::7"),
        ((), {FUNCTION_NAME: "read"}, ""),
        ((), {"client": None}, ""),
    ],
)
def test_the_address_is_one_that_the_client_cannot_choose(
    forwarded: tuple[str, ...], more: dict[str, Any], address: str
) -> None:
    assert find_client_address(scope(*forwarded, **more)) == address


@pytest.mark.parametrize(("behind_proxy", "address"), [(False, "127.0.0.1"), (True, "203.0.113.7")])
@virtual_time
async def test_the_setting_decides_for_the_audit_trail(behind_proxy: bool, address: str) -> None:
    async with ApiClient() as at:
        at.services.options = replace(at.services.options, is_behind_proxy=behind_proxy)
        api = create_api(at.services)
        transport = httpx.ASGITransport(api)
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers={"X-Forwarded-For": HOPS}) as client:
            assert (await client.post("/api/jobs/checkout/pause")).status_code == 200
        ((caller, _),) = at.shop.audit.changes

    assert caller.address == address
