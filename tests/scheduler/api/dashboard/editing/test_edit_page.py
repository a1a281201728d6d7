"""GET /api/dashboard/jobs/{name}/edit and /api/dashboard/new-job, as the server sends them."""

from __future__ import annotations

import json
import re
from html import unescape
from typing import Any

import pytest

from jobs.targets import TARGETS_BY_KIND
from scheduler.authentication.port import Authentication
from scheduler.catalog.catalog import CatalogJob
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.scheduler.api.access.test_tag_limits import Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PAGE = "/api/dashboard/jobs/checkout/edit"
HOSTILE = "</textarea><script>alert(1)</script>\u202e\"'"


def definition_of(page: str) -> Any:
    (text,) = re.findall(r'data-definition="([^"]*)"', page)
    return json.loads(unescape(text))


async def test_a_job_of_a_file_names_its_place_and_has_no_save() -> None:
    async with ApiClient(jobs=[CatalogJob(entry().job, "jobs/shop.yaml:12")]) as client:
        page = await get_page(client, PAGE)
    assert "This job is defined in jobs/shop.yaml:12" in visible_text(page)
    assert "alerts backtest --since 30d --rules jobs/shop.yaml --job checkout" in page
    assert 'id="editor-save"' not in page
    assert 'data-file="jobs/shop.yaml"' in page
    assert not has_inline_code(page)


async def test_a_stored_job_has_its_version_and_etag() -> None:
    async with ApiClient(jobs=[]) as client:
        stored = await client.post_json("/api/jobs", {"name": "shop", "check": {"url": "https://shop.example/"}})
        page = await get_page(client, "/api/dashboard/jobs/shop/edit")
    assert unescape(re.findall(r'data-etag="([^"]*)"', page)[0]) == stored.headers["etag"]
    assert 'id="editor-save"' in page
    assert definition_of(page) == {"name": "shop", "check": {"url": "https://shop.example/"}}
    assert "stored, version 1" in visible_text(page)


async def test_a_flat_job_is_edited_in_the_full_form() -> None:
    async with ApiClient(jobs=[]) as client:
        flat = {"JobName": "old", "Endpoint": "https://old.example/", "Schedule": "0 */5 * * * *"}
        await client.post_json("/api/jobs", flat)
        page = await get_page(client, "/api/dashboard/jobs/old/edit")
    definition = definition_of(page)
    assert definition["name"] == "old"
    assert definition["check"]["url"] == "https://old.example/"


async def test_a_new_job_starts_with_an_example() -> None:
    async with ApiClient(jobs=[]) as client:
        page = await get_page(client, "/api/dashboard/new-job")
    assert "<h1>New job</h1>" in page
    assert 'data-path="name"' in page
    assert "Create</button>" in page


async def test_a_new_job_can_have_each_kind() -> None:
    async with ApiClient(jobs=[]) as client:
        page = await get_page(client, "/api/dashboard/new-job")
    kinds = re.findall(r'id="field-check-kind".*?</select>', page, re.DOTALL)[0]
    assert re.findall(r'<option value="([^"]*)"', kinds) == list(TARGETS_BY_KIND)


async def test_a_new_job_can_be_made_of_a_preset() -> None:
    async with ApiClient(jobs=[]) as client:
        page = await get_page(client, "/api/dashboard/new-job", preset="budget")
        missing = await client.get("/api/dashboard/new-job", preset="budgt")
    assert definition_of(page)["preset"] == "budget"
    assert 'href="/api/dashboard/new-job?preset=storage-queue"' in page
    assert missing.status_code == 404
    assert "did you mean budget?" in missing.text


async def test_a_new_job_can_be_a_copy() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        page = await get_page(client, "/api/dashboard/new-job", copy="checkout")
        missing = await client.get("/api/dashboard/new-job", copy="none")
    assert definition_of(page)["name"] == ""
    assert definition_of(page)["check"]["url"] == "http://127.0.0.1:9/"
    assert missing.status_code == 404


async def test_hostile_texts_are_texts() -> None:
    async with ApiClient(jobs=[]) as client:
        definition = {"name": "shop", "check": {"url": "https://shop.example/", "headers": {"X-A": HOSTILE}}}
        await client.post_json("/api/jobs", definition)
        page = await get_page(client, "/api/dashboard/jobs/shop/edit")
    assert "<script>alert" not in page
    assert definition_of(page)["check"]["headers"]["X-A"] == HOSTILE
    assert not has_inline_code(page)


@pytest.mark.parametrize(("role", "validates", "saves"), [(Role.VIEWER, "", ""), (Role.OPERATOR, "yes", "")])
async def test_the_page_names_the_role_that_is_missing(role: Role, validates: str, saves: str) -> None:
    principal = Principal(PrincipalKind.API_KEY, "someone", role)
    async with ApiClient(jobs=[entry()], authentication=Authentication(Fixed(principal))) as client:
        page = await get_page(client, PAGE)
    assert f'data-may-validate="{validates}" data-may-save="{saves}"' in page
    assert "Test run (role admin)" in visible_text(page)
    assert ("Changes need the role admin" in visible_text(page)) is (role is Role.VIEWER)
    assert ("readonly" in page) is (role is Role.VIEWER)


async def test_an_unknown_job_has_no_editor() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        missing = await client.get("/api/dashboard/jobs/checkot/edit")
    assert missing.status_code == 404
    assert "Did you mean checkout?" in missing.text
