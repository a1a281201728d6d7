"""Jobs are duplicated over the API, whatever their form and place is."""

from __future__ import annotations

import pytest

from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.routes.test_stored_jobs import DEFINITION, FLAT, create


async def test_a_stored_job_is_duplicated_with_a_patch() -> None:
    async with ApiClient() as client:
        await create(client, description="the shop")
        answer = await client.post_json(
            "/api/jobs/shop/duplicate",
            {"name": "shop-eu", "patch": {"schedule": "every 5s", "description": None, "name": "ignored"}},
        )

        assert (answer.status_code, answer.headers["Location"]) == (201, "/api/jobs/shop-eu")
        assert answer.json()["declared"] == {"name": "shop-eu", **DEFINITION, "schedule": "every 5s"}
        assert answer.headers["ETag"] == (await client.get("/api/jobs/shop-eu")).headers["ETag"]
        assert (await client.get("/api/jobs/shop")).json()["declared"]["description"] == "the shop"
        versions = (await client.get("/api/jobs/shop-eu/versions")).json()["versions"]
        assert [(one["number"], one["comment"]) for one in versions] == [(1, "copy of shop")]
        _, change = client.shop.audit.changes[-1]
        assert (change.action, change.summary) == ("job.create", "job shop-eu was created as a copy of shop")


async def test_a_job_of_a_file_is_duplicated_as_a_stored_job() -> None:
    async with ApiClient() as client:
        answer = await client.post_json("/api/jobs/checkout/duplicate", {"name": "checkout-2"})

        assert answer.status_code == 201, answer.text
        copy, original = (client.shop.catalog.get_job(name).job for name in ("checkout-2", "checkout"))
        assert copy == original.model_copy(update={"name": "checkout-2"})
        assert answer.json()["source"] == "stored, version 1"


async def test_a_job_in_the_flat_form_stays_in_it() -> None:
    async with ApiClient() as client:
        assert (await client.post_json("/api/jobs", FLAT)).status_code == 201
        answer = await client.post_json("/api/jobs/legacy/duplicate", {"name": "legacy-2"})

    assert answer.json()["declared"] == {**FLAT, "JobName": "legacy-2"}


@pytest.mark.parametrize("name", ["shop", "checkout"])
async def test_a_name_that_is_used_is_a_conflict(name: str) -> None:
    async with ApiClient() as client:
        await create(client)
        answer = await client.post_json("/api/jobs/shop/duplicate", {"name": name})

    assert answer.status_code == 409


async def test_what_cannot_be_duplicated() -> None:
    async with ApiClient() as client:
        await create(client)
        unknown = await client.post_json("/api/jobs/shopp/duplicate", {"name": "other"})
        invalid = await client.post_json("/api/jobs/shop/duplicate", {"name": "other", "patch": {"check": None}})
        unnamed = await client.post_json("/api/jobs/shop/duplicate", {"patch": {}})
        bad_name = await client.post_json("/api/jobs/shop/duplicate", {"name": "no spaces"})

    assert (unknown.status_code, invalid.status_code) == (404, 422)
    assert unnamed.status_code == bad_name.status_code == 400
    assert invalid.json()["errors"][0]["location"] == "body.check"
