"""GET /api/secrets and POST /api/secrets/{name}/refresh."""

from __future__ import annotations

import pytest

from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

TOKEN = {"url": "http://127.0.0.1:9/", "auth": {"kind": "bearer", "token": {"secret": "checkout-token"}}}


def client() -> ApiClient:
    return ApiClient(jobs=[entry(check=TOKEN), entry("other", check=TOKEN), entry("plain")])


@virtual_time
async def test_the_secrets_that_jobs_use_are_listed_without_their_values() -> None:
    async with client() as open_client:
        open_client.shop.secrets.values["checkout-token"] = "the-value"
        listed = (await open_client.get("/api/secrets")).json()

    assert listed == {
        "secrets": [
            {
                "name": "checkout-token",
                "jobs": ["checkout", "other"],
                "source": None,
                "read_at": None,
                "error": "",
                "expires_at": None,
                "expired": False,
                "is_expiring": False,
                "hosts": None,
                "tags": [],
            }
        ]
    }


@virtual_time
async def test_a_secret_is_read_again_and_the_change_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    async with client() as open_client:
        open_client.shop.secrets.values["checkout-token"] = "the-value"
        done = await open_client.post("/api/secrets/checkout_token/refresh")

    assert done.status_code == 200
    assert (done.json()["source"], done.json()["error"]) == ("the vault", "")
    assert "the-value" not in done.text
    assert open_client.shop.secrets.dropped == ["checkout-token"]
    assert "secret checkout_token was refreshed, requested over the API" in caplog.text


@virtual_time
async def test_a_secret_that_cannot_be_had_reports_why() -> None:
    async with client() as open_client:
        done = await open_client.post("/api/secrets/checkout-token/refresh")

    assert done.json()["error"] == "there is no secret checkout-token"


@virtual_time
async def test_a_secret_that_no_job_uses_is_missing() -> None:
    async with client() as open_client:
        refused = await open_client.post("/api/secrets/nobodys/refresh")

    assert refused.status_code == 404
    assert refused.json()["detail"] == "No job uses a secret named 'nobodys'."


@virtual_time
async def test_a_page_of_another_site_may_not_have_it_read_again() -> None:
    async with client() as open_client:
        refused = await open_client.request(
            "POST", "/api/secrets/checkout-token/refresh", headers={"sec-fetch-site": "cross-site"}
        )

    assert refused.status_code == 403
