"""The editor of a job in Chromium: the form, the text, what is wrong, and what is saved."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from scheduler.catalog.catalog import CatalogJob
from tests.jobs.running.run_parts import REFUSED
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import open_site
from tests.scheduler.fakes import entry

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SHOP: dict[str, Any] = {
    "name": "shop",
    "schedule": "every 5m",
    "check": {"url": "https://shop.example/", "http2": True},
    "circuit": {"consecutive_failures": 5},
}
EDIT = "/api/dashboard/jobs/shop/edit"


async def test_a_new_job_is_written_in_the_form_and_saved(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[])) as site:
        page = await site.open("/api/dashboard/new-job")
        await page.locator("#field-name").fill("shop")
        await page.get_by_label("Expression").fill("0 30 2 * * MON-FRI")
        await page.locator("#field-schedule-timezone").fill("Europe/Berlin")
        await expect(page.locator("#schedule-preview")).to_contain_text(
            "At 02:30 on Monday through Friday, Europe/Berlin time"
        )
        await expect(page.locator("#schedule-preview li")).to_have_count(10)

        await page.get_by_label("URL").fill("htp:/shop")
        await expect(page.locator("#field-check-url-error")).to_contain_text("is not an http URL")
        await page.get_by_label("URL").fill("https://shop.example/")
        await page.get_by_label("Expected status").fill("200-299")
        await page.get_by_label("Tags").fill("team: payments")
        await expect(page.locator("#editor-state")).to_have_text("Valid")
        await page.get_by_role("button", name="Create").click()
        await page.wait_for_url("**/api/dashboard/jobs/shop")

        declared = (await site.desk.get("/api/jobs/shop")).json()["declared"]
    assert declared == {
        "name": "shop",
        "schedule": {"cron": "0 30 2 * * MON-FRI", "timezone": "Europe/Berlin"},
        "check": {"kind": "http", "url": "https://shop.example/"},
        "expect": [{"status": "200-299"}],
        "tags": {"team": "payments"},
    }


async def test_a_field_takes_no_text_before_the_script_has_filled_it(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[])) as site:
        await site.desk.post_json("/api/jobs", SHOP)
        page = await site.open(EDIT, java_script_enabled=False)
        await expect(page.get_by_label("URL")).to_be_disabled()
        page = await site.open(EDIT)
        await expect(page.get_by_label("URL")).to_have_value("https://shop.example/")
        await expect(page.get_by_label("URL")).to_be_enabled()


async def test_the_form_shows_no_check_of_a_job_made_of_a_preset(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[])) as site:
        page = await site.open("/api/dashboard/new-job?preset=budget")
        await expect(page.get_by_label("Kind")).to_be_disabled()
        await expect(page.get_by_label("Kind")).to_have_value("")
        await expect(page.get_by_label("URL")).to_be_hidden()
        await expect(page.locator("#editor-state")).to_have_text("Give the job a name, and your values under with.")
        await expect(page.locator("#schedule-english")).to_have_text("Every 12 hours")
        await page.locator("#field-name").fill("spent")
        await expect(page.locator("#editor-state")).to_contain_text("Valid")


async def test_the_form_and_the_text_show_the_same_and_keep_other_keys(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[])) as site:
        await site.desk.post_json("/api/jobs", SHOP)
        page = await site.open(EDIT)
        text = page.get_by_label("Definition")
        await page.get_by_label("Expression").fill("every 10m")
        await expect(text).to_have_value(
            "name: shop\nschedule: every 10m\ncheck:\n  url: https://shop.example/\n"
            "  http2: true\ncircuit:\n  consecutive_failures: 5\n"
        )
        await text.fill(
            "name: shop\nschedule: {every: 1h, jitter: 20s}\ncheck: {kind: tcp, host: shop.example, port: 443}\n"
        )
        await expect(page.get_by_label("Expression")).to_have_value("every 1h")
        await expect(page.get_by_label("Host")).to_have_value("shop.example")
        await expect(page.get_by_label("URL")).to_be_hidden()
        await page.get_by_label("Expression").fill("every 2h")
        await expect(text).to_have_value(
            'name: shop\nschedule:\n  every: "2h"\n  jitter: "20s"\ncheck:\n  kind: tcp\n'
            "  host: shop.example\n  port: 443\n"
        )

        await text.fill("JobName: shop\nEndpoint: https://shop.example/\n")
        await expect(page.locator("#editor-unreadable")).to_contain_text("in the full form only")
        await text.fill("name: shop\ncheck: [\n")
        await expect(page.locator("#editor-findings")).to_contain_text("is not valid YAML")
        await expect(page.get_by_label("Expression")).to_be_disabled()


async def test_a_newer_version_is_explained_and_merged(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[])) as site:
        await site.desk.post_json("/api/jobs", SHOP)
        page = await site.open(EDIT)
        await page.get_by_label("Description").fill("mine")
        await expect(page.locator("#editor-diff")).to_contain_text("+    description: mine")
        theirs = SHOP | {"schedule": "every 7m"}
        await site.desk.request("PUT", "/api/jobs/shop", json=theirs, headers={"if-match": "*"})

        await page.get_by_role("button", name="Save").click()
        await expect(page.locator("#conflict-text")).to_contain_text("Version 2 was saved")
        await expect(page.locator("#conflict-changes tbody tr")).to_contain_text("scheduleevery 5mevery 7m")
        assert len(site.complaints) == 1  # 412
        site.complaints.clear()
        await page.get_by_role("button", name="Put my changes on top of it").click()
        await expect(page.get_by_label("Expression")).to_have_value("every 7m")
        await page.get_by_role("button", name="Save").click()
        await page.wait_for_url("**/api/dashboard/jobs/shop")

        declared = (await site.desk.get("/api/jobs/shop")).json()["declared"]
    assert declared == theirs | {"description": "mine"}


async def test_a_job_of_a_file_gives_its_text_and_a_diff(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[CatalogJob(entry().job, "jobs/shop.yaml:12")])) as site:
        page = await site.open("/api/dashboard/jobs/checkout/edit")
        await page.get_by_label("Attempts").fill("1")
        await expect(page.locator("#editor-diff")).to_contain_text("+++ b/jobs/shop.yaml")
        await expect(page.locator("#editor-diff")).to_contain_text("+      attempts: 1")
        await expect(page.locator("#editor-file-text")).to_contain_text("jobs:\n  checkout:")
        await page.get_by_role("button", name="Copy diff").click()
        await expect(page.get_by_role("button", name="Save")).to_have_count(0)


async def test_a_test_run_shows_the_facts_of_its_attempts(browser: Browser) -> None:
    async with open_site(browser, ApiClient(REFUSED, jobs=[])) as site:
        await site.desk.post_json("/api/jobs", SHOP | {"retry": {"attempts": 1}})
        page = await site.open(EDIT)
        await page.get_by_role("button", name="Test run").click()
        result = page.get_by_role("region", name="Test run")
        await expect(result).to_contain_text("Attempt 1")
        await expect(result).to_contain_text("Nothing was stored or notified")


async def test_hostile_definitions_are_texts(browser: Browser) -> None:
    hostile = "<img src=x onerror=alert(1)>"
    async with open_site(browser, ApiClient(jobs=[])) as site:
        await site.desk.post_json("/api/jobs", SHOP | {"description": hostile})
        page = await site.open(EDIT)
        page.on("dialog", lambda dialog: site.complaints.append(dialog.message))
        await page.get_by_label("Expression").fill(hostile)
        await expect(page.locator("#field-schedule-error")).to_contain_text(hostile)
        await expect(page.locator("#editor-diff")).to_contain_text(hostile)
        await page.set_viewport_size({"width": 360, "height": 800})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 360
