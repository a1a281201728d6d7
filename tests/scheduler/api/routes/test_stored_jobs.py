"""Jobs as resources: created, read, changed and deleted over the API, without losing a change of another client."""

from __future__ import annotations

from typing import Any

import pytest

from config.job_files.job_set import JobSet
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from tests.parts.notifications import make_channel
from tests.scheduler.api.api_client import ApiClient

DEFINITION: dict[str, Any] = {"schedule": "every 30s", "check": {"kind": "http", "url": "http://127.0.0.1:9/"}}
FLAT = {"JobName": "legacy", "Endpoint": "http://127.0.0.1:9/", "Schedule": "0 */5 * * * *"}
PATCH_TYPE = {"Content-Type": "application/merge-patch+json"}


async def create(client: ApiClient, name: str = "shop", **more: Any) -> str:
    """Return the ETag."""
    answer = await client.post_json("/api/jobs", {"name": name, **DEFINITION, **more})
    assert answer.status_code == 201, answer.text
    return str(answer.headers["ETag"])


async def change(client: ApiClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.request(method, path, json=body, headers=sent | (PATCH_TYPE if method == "PATCH" else {}))


async def test_a_created_job_is_in_force_at_once() -> None:
    async with ApiClient() as client:
        answer = await client.post_json("/api/jobs", {"name": "shop", **DEFINITION})

        assert answer.status_code == 201
        assert answer.headers["Location"] == "/api/jobs/shop"
        job = (await client.get("/api/jobs/shop")).json()
        assert (job["source"], job["version"], job["owner"]) == ("stored, version 1", 1, "")
        assert job["declared"] == {"name": "shop", **DEFINITION}
        assert client.shop.catalog.get_job("shop").job.schedule is not None
        assert [one["name"] for one in (await client.get("/api/jobs")).json()["jobs"]] == ["checkout", "shop"]


async def test_a_job_can_be_created_in_the_flat_form() -> None:
    async with ApiClient() as client:
        answer = await client.post_json("/api/jobs", FLAT)

        assert answer.status_code == 201, answer.text
        assert answer.json()["declared"] == FLAT
        assert answer.json()["schedule"] == "0 */5 * * * *"


async def test_a_name_that_is_used_is_a_conflict() -> None:
    async with ApiClient() as client:
        await create(client)
        stored = await client.post_json("/api/jobs", {"name": "shop", **DEFINITION})
        of_file = await client.post_json("/api/jobs", {"name": "checkout", **DEFINITION})

    assert stored.status_code == of_file.status_code == 409
    assert stored.json()["detail"] == "The job shop exists already: PUT /api/jobs/shop replaces it."
    assert of_file.json()["detail"] == (
        "The job checkout is defined in jobs.yaml:1, and job files are changed as files only."
    )


async def test_every_finding_of_an_invalid_definition_is_listed() -> None:
    async with ApiClient() as client:
        answer = await client.post_json(
            "/api/jobs", {"name": "shop", "schedul": "every 5s", "check": {"kind": "http"}, "depends_on": ["nothing"]}
        )
        unknown = await client.post_json("/api/jobs", {"name": "shop", **DEFINITION, "depends_on": ["chekout"]})
        nameless = await client.post_json("/api/jobs", DEFINITION)

    assert answer.status_code == unknown.status_code == nameless.status_code == 422
    found = {error["location"]: error["message"] for error in answer.json()["errors"]}
    assert found["body.check.url"] == "is missing"
    assert "body.schedul" in found
    assert "?." not in answer.json()["detail"]
    assert (
        unknown.json()["errors"]
        == [
            {
                "location": "body.depends_on[0]",
                "message": "there is no job named 'chekout': did you mean checkout?",
            }
        ]
        or "chekout" in unknown.json()["errors"][0]["message"]
    )
    assert nameless.json()["errors"][0]["location"] == "body.name"


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        (b'{"name": "a", "name": "b"}', 400, "contains the key name twice"),
        (rb'{"name": "\ud800"}', 400, "half of a surrogate pair"),
        (b'{"name": ', 400, "is not valid JSON"),
        (b'{"a": 1e999}', 400, "a number that is too large at a"),
        (b"[]", 400, "is not an object"),
        (b"\xff", 400, "is not UTF-8 text"),
    ],
)
async def test_a_body_that_is_not_a_definition_is_refused(body: bytes, status: int, text: str) -> None:
    async with ApiClient() as client:
        answer = await client.request("POST", "/api/jobs", content=body, headers={"Content-Type": "application/json"})

    assert answer.status_code == status
    assert text in answer.json()["detail"]


async def test_another_content_type_is_refused() -> None:
    async with ApiClient() as client:
        etag = await create(client)
        create_answer = await client.request("POST", "/api/jobs", content=b"{}", headers={"Content-Type": "text/plain"})
        patch = await client.request("PATCH", "/api/jobs/shop", json={}, headers={"If-Match": etag})

    assert create_answer.status_code == patch.status_code == 415
    assert "application/merge-patch+json" in patch.json()["detail"]


async def test_a_change_without_a_precondition_is_refused() -> None:
    async with ApiClient() as client:
        await create(client)
        answers = [
            await change(client, "PUT", "/api/jobs/shop", DEFINITION),
            await change(client, "PATCH", "/api/jobs/shop", {"enabled": False}),
            await change(client, "DELETE", "/api/jobs/shop"),
            await change(client, "POST", "/api/jobs/shop/versions/1/restore"),
        ]

    assert [answer.status_code for answer in answers] == [428] * 4


async def test_a_change_of_what_another_client_has_changed_is_refused_with_the_current_etag() -> None:
    async with ApiClient() as client:
        old = await create(client)
        new = (await change(client, "PUT", "/api/jobs/shop", {**DEFINITION, "enabled": False}, If_Match=old)).headers[
            "ETag"
        ]
        late = await change(client, "PUT", "/api/jobs/shop", DEFINITION, If_Match=old)
        absent = await change(client, "PUT", "/api/jobs/shop", DEFINITION, If_None_Match="*")
        missing = await change(client, "PUT", "/api/jobs/other", DEFINITION, If_Match="*")

    assert old != new
    assert [answer.status_code for answer in (late, absent, missing)] == [412] * 3
    assert late.headers["ETag"] == absent.headers["ETag"] == new
    assert "ETag" not in missing.headers


async def test_put_creates_and_replaces() -> None:
    async with ApiClient() as client:
        created = await change(client, "PUT", "/api/jobs/shop", DEFINITION, If_None_Match="*")
        replaced = await change(client, "PUT", "/api/jobs/shop", FLAT | {"JobName": "shop"}, If_Match="*")
        same = await change(client, "PUT", "/api/jobs/shop", FLAT | {"JobName": "shop"}, If_Match="*")

    assert (created.status_code, replaced.status_code, same.status_code) == (201, 200, 200)
    assert (replaced.json()["version"], same.json()["version"]) == (2, 2)
    assert replaced.headers["ETag"] == same.headers["ETag"] != created.headers["ETag"]


async def test_the_name_in_a_body_must_be_that_of_the_path() -> None:
    async with ApiClient() as client:
        full = await change(client, "PUT", "/api/jobs/shop", {"name": "other", **DEFINITION}, If_None_Match="*")
        flat = await change(client, "PUT", "/api/jobs/shop", FLAT, If_None_Match="*")
        strange = await change(client, "PUT", "/api/jobs/a%20b", DEFINITION, If_None_Match="*")

    assert [answer.status_code for answer in (full, flat, strange)] == [422] * 3
    assert flat.json()["errors"][0]["location"] == "body.JobName"
    assert full.json()["detail"] == (
        "The definition has 1 problem. body.name: is not shop, the name of the job; remove it."
    )


async def test_a_patch_changes_parts_and_is_validated_as_a_whole() -> None:
    async with ApiClient() as client:
        etag = await create(client, description="x", tags={"a": "1", "b": "2"})
        patched = await change(
            client, "PATCH", "/api/jobs/shop", {"description": None, "tags": {"a": None, "c": "3"}}, If_Match=etag
        )
        invalid = await change(client, "PATCH", "/api/jobs/shop", {"check": {"url": None}}, If_Match="*")

    assert patched.status_code == 200
    assert patched.json()["declared"] == {"name": "shop", **DEFINITION, "tags": {"b": "2", "c": "3"}}
    assert invalid.status_code == 422
    assert invalid.json()["errors"][0]["location"] == "body.check.url"


async def test_a_deleted_job_is_not_in_force_and_can_be_restored() -> None:
    async with ApiClient() as client:
        etag = await create(client)
        used = await change(client, "PUT", "/api/jobs/shop", DEFINITION, If_None_Match="*")
        deleted = await change(client, "DELETE", "/api/jobs/shop", If_Match=etag)
        gone = await client.get("/api/jobs/shop")
        in_force = "shop" in client.shop.catalog
        versions = (await client.get("/api/jobs/shop/versions")).json()["versions"]
        restored = await change(client, "POST", "/api/jobs/shop/versions/1/restore", If_None_Match="*")

    assert used.json()["detail"] == f"The job shop exists already: its version is {etag}, replace that one."
    assert (deleted.status_code, deleted.content, gone.status_code, in_force) == (204, b"", 404, False)
    assert [(one["number"], one["definition"] is None) for one in versions] == [(2, True), (1, False)]
    assert (restored.status_code, restored.json()["version"]) == (200, 3)


async def test_jobs_of_files_are_read_only() -> None:
    async with ApiClient() as client:
        etag = (await client.get("/api/jobs/checkout")).headers["ETag"]
        answers = [
            await change(client, "PUT", "/api/jobs/checkout", DEFINITION, If_Match=etag),
            await change(client, "PATCH", "/api/jobs/checkout", {"enabled": False}, If_Match=etag),
            await change(client, "DELETE", "/api/jobs/checkout", If_Match=etag),
        ]
        unknown = await change(client, "DELETE", "/api/jobs/chekout", If_Match=etag)

        restored = await change(client, "POST", "/api/jobs/checkout/versions/1/restore", If_Match="*")
        versions = await client.get("/api/jobs/checkout/versions")

    assert [answer.status_code for answer in (*answers, restored)] == [409] * 4
    assert all("jobs.yaml:1" in answer.json()["detail"] for answer in (*answers, restored))
    assert unknown.status_code == versions.status_code == 404
    assert "Did you mean checkout?" in unknown.json()["detail"]
    assert versions.json()["detail"] == ("The job checkout is defined in jobs.yaml:1: only stored jobs have versions.")


async def test_a_job_that_others_depend_on_cannot_be_deleted() -> None:
    async with ApiClient() as client:
        etag = await create(client)
        await create(client, "after", schedule=None, depends_on=["shop"])
        refused = await change(client, "DELETE", "/api/jobs/shop", If_Match=etag)

    assert refused.status_code == 409
    assert "after" in refused.json()["detail"]


async def test_the_etag_is_that_of_the_definition_alone() -> None:
    async with ApiClient() as client:
        etag = await create(client)
        await client.post("/api/jobs/shop/pause")
        await client.perform("shop")
        after = await client.get("/api/jobs/shop")
        unchanged = await client.request("GET", "/api/jobs/shop", headers={"If-None-Match": f'"x", W/{etag}'})

    assert after.headers["ETag"] == etag
    assert (unchanged.status_code, unchanged.content, unchanged.headers["ETag"]) == (304, b"", etag)


async def test_a_paused_job_stays_paused_through_every_change_of_its_definition() -> None:
    async with ApiClient() as client:
        etag = await create(client)
        await client.post("/api/jobs/shop/pause")
        etag = (
            await change(client, "PUT", "/api/jobs/shop", {**DEFINITION, "description": "x"}, If_Match=etag)
        ).headers["ETag"]
        etag = (await change(client, "PATCH", "/api/jobs/shop", {"schedule": "every 5s"}, If_Match=etag)).headers[
            "ETag"
        ]
        await change(client, "POST", "/api/jobs/shop/versions/1/restore", If_Match=etag)
        job = (await client.get("/api/jobs/shop")).json()

    assert job["version"] == 4
    assert job["pause"] is not None


async def test_versions_can_be_read_and_compared() -> None:
    async with ApiClient() as client:
        etag = await create(client)
        await change(client, "PATCH", "/api/jobs/shop", {"schedule": "every 5s", "tags": {"a": "1"}}, If_Match=etag)
        versions = (await client.get("/api/jobs/shop/versions")).json()
        first = (await client.get("/api/jobs/shop/versions/1")).json()
        diff = (await client.get("/api/jobs/shop/versions/2/diff", against=1)).json()
        missing = await client.get("/api/jobs/shop/versions/9")

    assert [one["number"] for one in versions["versions"]] == [2, 1]
    assert first["definition"] == {"name": "shop", **DEFINITION}
    assert first["by"] == "local:loopback"
    assert diff["fields"] == [
        {"path": "schedule.every", "before": "30s", "after": "5s"},
        {"path": "tags.a", "before": None, "after": "1"},
    ]
    assert missing.status_code == 404


async def test_ten_thousand_unchanged_jobs_take_twenty_requests_or_one() -> None:
    async with ApiClient() as client:
        etag = (await client.get("/api/jobs", view="full")).headers["ETag"]
        await create(client)
        await create(client, "broken")
        first = await client.get("/api/jobs", view="full", limit=2)
        second = await client.get("/api/jobs", view="full", continuation=first.json()["continuation"])
        unchanged = await client.request(
            "GET", "/api/jobs?view=full&limit=500", headers={"If-None-Match": first.headers["ETag"]}
        )
        filtered = await client.get("/api/jobs", view="full", state="paused")

    assert [one["name"] for one in (*first.json()["jobs"], *second.json()["jobs"])] == ["broken", "checkout", "shop"]
    assert first.headers["ETag"] == second.headers["ETag"] != etag
    assert unchanged.status_code == 304
    assert filtered.status_code == 422


async def test_a_change_that_the_store_refuses_is_not_in_force() -> None:
    async with ApiClient() as client:
        client.shop.store.breaks_after = 1
        answer = await client.post_json("/api/jobs", {"name": "shop", **DEFINITION})
        client.shop.store.breaks_after = None

        assert answer.status_code == 503
        assert "shop" not in client.shop.catalog
        assert (await client.get("/api/jobs/shop")).status_code == 404


async def test_a_job_whose_channel_was_removed_is_in_force_and_shows_the_problem() -> None:
    channel = DefinedEntry("team", make_channel(kind="ntfy", topic="team"), "jobs/alerting.yaml:3")
    async with ApiClient() as client:
        await client.shop.composer.replace_files(JobSet(alerting=define_alerting({"channels": (channel,)})))
        await create(client, alerts=[{"notify": "team"}])
        before = (await client.get("/api/jobs/shop")).json()
        await client.shop.composer.replace_files(JobSet(digest="other"))
        after = (await client.get("/api/jobs/shop")).json()

    assert before["problems"] == []
    assert [(one["path"], one["message"]) for one in after["problems"]] == [
        ("alerts[0].notify", "there is no channel team")
    ]
    assert after["upcoming"]
