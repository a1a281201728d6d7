"""POST /api/dashboard/drafts: what the editor shows about a definition while a person types."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.catalog.catalog import CatalogJob
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

DRAFTS = "/api/dashboard/drafts"
DRAFT: dict[str, Any] = {
    "name": "shop",
    "schedule": {"cron": "0 30 2 * * *", "timezone": "Europe/Berlin"},
    "check": {"url": "https://shop.example/"},
}


async def read_draft(client: ApiClient, draft: object, job: str = "") -> dict[str, Any]:
    sent = await client.request("POST", DRAFTS, json=draft, params={"job": job} if job else None)
    assert sent.status_code == 200
    found: dict[str, Any] = sent.json()
    return found


async def read_text(client: ApiClient, text: str) -> dict[str, Any]:
    sent = await client.request("POST", DRAFTS, content=text.encode(), headers={"content-type": "application/yaml"})
    assert sent.status_code == 200
    found: dict[str, Any] = sent.json()
    return found


async def test_the_schedule_is_told_in_words_with_ten_runs_in_its_zone() -> None:
    async with ApiClient(jobs=[]) as client:
        schedule = (await read_draft(client, DRAFT))["schedule"]
    assert schedule["english"] == "At 02:30 every day, Europe/Berlin time"
    assert (schedule["zone"], len(schedule["instants"])) == ("Europe/Berlin", 10)
    assert schedule["instants"][0] == {"utc": "2026-03-02T01:30:00+00:00", "local": "Mon 2026-03-02 02:30:00 CET"}


async def test_a_schedule_is_told_while_the_rest_is_invalid() -> None:
    async with ApiClient(jobs=[]) as client:
        schedule = (await read_draft(client, {"schedule": "every 5m", "check": {"url": "nope"}}))["schedule"]
        wrong = (await read_draft(client, {"schedule": "*/5 * *"}))["schedule"]
    assert schedule["english"] == "Every 5 minutes"
    assert "expected 5 or 6 fields" in wrong["problem"]


async def test_a_job_without_a_schedule_has_that_of_its_preset() -> None:
    draft = {"preset": "budget", "with": {"subscription": "00000000-0000-4000-8000-000000000001"}}
    async with ApiClient(jobs=[]) as client:
        schedule = (await read_draft(client, draft))["schedule"]
        own = (await read_draft(client, {**draft, "schedule": "every 1d"}))["schedule"]
        unknown = (await read_draft(client, {"preset": "budgt"}))["schedule"]
    assert (schedule["english"], len(schedule["instants"])) == ("Every 12 hours", 10)
    assert own["english"] == "Every day"
    assert unknown["problem"] == "its preset cannot be used"


async def test_a_draft_without_a_name_has_a_readable_text_for_a_file() -> None:
    async with ApiClient(jobs=[]) as client:
        draft = await read_draft(client, {**DRAFT, "name": ""})
    assert draft["file_text"].startswith("jobs:\n  my-job:\n    schedule:")


async def test_the_text_and_the_definition_are_the_same() -> None:
    async with ApiClient(jobs=[]) as client:
        text = (await read_draft(client, DRAFT))["text"]
        again = await read_text(client, text)
    assert again["document"] == DRAFT
    assert again["text"] == text


async def test_a_text_that_cannot_be_read_names_its_line() -> None:
    async with ApiClient(jobs=[]) as client:
        broken = await read_text(client, "name: shop\ncheck: [\n")
        twice = await read_text(client, "name: shop\ncheck: {}\nname: other\n")
        single = await read_text(client, "shop")
        infinite = await read_text(client, "name: shop\nretry: {multiplier: 1e999}\n")
    assert broken["problem"]["line"] in (2, 3)
    assert twice["problem"] == {"message": "name is a duplicate: first in line 1", "line": 3}
    assert "not one job" in single["problem"]["message"]
    assert infinite["problem"] == {"message": "retry.multiplier is not a number that JSON has", "line": 2}


async def test_a_job_of_a_file_gives_the_text_of_the_file_and_a_diff() -> None:
    job = CatalogJob(entry().job, "jobs/shop.yaml:12")
    async with ApiClient(jobs=[job]) as client:
        base = (await client.get("/api/jobs/checkout")).json()["declared"]
        draft = await read_draft(client, base | {"description": "pays"}, "checkout")
    assert draft["file_text"].startswith("jobs:\n  checkout:\n")
    assert draft["diff"].startswith("--- a/jobs/shop.yaml\n+++ b/jobs/shop.yaml\n@@")
    assert "\n+    description: pays" in draft["diff"]
    assert draft["current"]["version"] is None


async def test_a_file_of_json_gets_json() -> None:
    job = CatalogJob(entry().job, "jobs/shop.json:12")
    async with ApiClient(jobs=[job]) as client:
        draft = await read_draft(client, {"name": "checkout", "check": {"url": "https://x.example"}}, "checkout")
    assert draft["file_text"].startswith('{\n  "jobs": {\n    "checkout": {')


async def test_an_unchanged_draft_has_no_diff_and_a_flat_job_is_a_list() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        base = (await client.get("/api/jobs/checkout")).json()["declared"]
        same = await read_draft(client, base, "checkout")
        flat = await read_draft(client, {"JobName": "old", "Endpoint": "https://x.example"})
    assert same["diff"] == ""
    assert (same["is_flat"], flat["is_flat"]) == (False, True)
    assert flat["file_text"].startswith("jobs:\n- JobName: old\n")


async def test_a_number_that_a_browser_writes_otherwise_is_no_difference() -> None:
    check = {"url": "https://shop.example/", "method": "POST", "body": {"json": {"rates": [1.0, 2.5, 3]}}}
    job = entry("shop", check=check, slo={"target": 99.0})
    async with ApiClient(jobs=[job]) as client:
        current = (await read_draft(client, {"name": "shop"}, "shop"))["current"]["document"]
        sent = {**current, "slo": {**current["slo"], "target": 99}}
        sent["check"] = {**current["check"], "body": {"json": {"rates": [1, 2.5, 3]}}}
        unchanged = await read_draft(client, sent, "shop")
        changed = await read_draft(client, {**sent, "slo": {"target": 98}}, "shop")

    assert unchanged["diff"] == ""
    assert [line for line in changed["diff"].splitlines() if line.startswith(("-  ", "+  "))] == [
        "-      target: 99.0",
        "+      target: 98",
    ]


async def test_a_stored_job_is_compared_with_its_current_version() -> None:
    async with ApiClient(jobs=[]) as client:
        await client.post_json("/api/jobs", DRAFT)
        draft = await read_draft(client, DRAFT | {"enabled": False}, "shop")
    assert draft["diff"].startswith("--- shop (stored, version 1)\n+++ draft\n")
    assert draft["current"]["etag"].startswith('"')
    assert (draft["current"]["version"], draft["current"]["document"]) == (1, DRAFT)
    assert draft["schedule"]["enabled"] is False


async def test_a_draft_shows_names_of_secrets_only() -> None:
    async with ApiClient(jobs=[]) as client:
        client.shop.secrets.values["shop-token"] = "hunter2"
        auth = {"kind": "bearer", "token": {"secret": "shop-token"}}
        sent = await client.post_json(DRAFTS, DRAFT | {"check": {"url": "https://shop.example/", "auth": auth}})
    assert "shop-token" in sent.text
    assert "hunter2" not in sent.text


@pytest.mark.parametrize("body", [b"[]", b"{", b'{"a": 1, "a": 2}'])
async def test_json_that_is_no_definition_is_a_problem(body: bytes) -> None:
    async with ApiClient(jobs=[]) as client:
        sent = await client.request("POST", DRAFTS, content=body, headers={"content-type": "application/json"})
    assert sent.status_code == 200
    assert sent.json()["problem"]["message"]
