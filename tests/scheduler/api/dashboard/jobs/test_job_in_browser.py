"""The pages of a job and a run in Chromium: what the buttons and keys do."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from tests.jobs.running.run_parts import answer
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import open_site
from tests.scheduler.fakes import entry

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
PAGE = "/api/dashboard/jobs/checkout"


async def test_a_job_is_paused_for_a_time_by_keyboard_and_the_pause_is_undone(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        page = await shown.open(PAGE)
        await page.keyboard.press("p")
        menu = page.locator("#pause-menu")
        await menu.get_by_label("For").select_option("4 hours")
        await menu.get_by_label("Reason").fill("deployment")
        await page.keyboard.press("Enter")

        await expect(page.locator("#pause")).to_have_text(re.compile(r"paused until [\d:]+: deployment"))
        await page.get_by_role("button", name="Undo").click()
        await expect(page.locator("#pause")).to_have_count(0)


async def test_a_silence_is_undone_by_the_id_of_the_response(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        page = await shown.open(PAGE)
        await page.keyboard.press("s")
        await page.keyboard.press("Enter")
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_text("Undone.")).to_be_visible()
        (silence,) = (await shown.desk.get("/api/silences")).json()["silences"]
        assert silence["state"] == "ended"


async def test_a_run_is_repeated_and_the_new_one_opens(browser: Browser) -> None:
    async with open_site(browser, ApiClient(answer(), answer(), jobs=[entry()])) as shown:
        run_id = await shown.desk.perform()
        page = await shown.open(f"/api/dashboard/runs/{run_id}")
        await page.keyboard.press("r")
        await expect(page).not_to_have_url(re.compile(re.escape(run_id)))
        await expect(page.get_by_role("status")).to_contain_text("checkout")
        await page.keyboard.press("[")
        await expect(page).to_have_url(re.compile(re.escape(run_id)))


async def test_a_chart_shows_its_numbers_and_selects_a_period(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        await shown.desk.perform()
        page = await shown.open(PAGE)
        chart = page.get_by_role("img", name=re.compile("Response time"))
        await chart.scroll_into_view_if_needed()
        await page.wait_for_timeout(300)  # the end of scrolling hides the numbers
        await chart.locator(".chart-span").hover()
        await expect(page.locator("#chart-numbers")).to_contain_text(re.compile(r"1 Mar \d\d:00: p50 \d"))

        box = await chart.bounding_box()
        assert box is not None
        await page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
        await page.mouse.down()
        await page.mouse.move(box["x"] + box["width"] * 0.98, box["y"] + 40)
        await expect(page.locator("#chart-selection")).to_be_visible()
        await page.mouse.up()
        await expect(page).to_have_url(re.compile(r"\?from=2026-03-01T\d\d%3A\d\dZ&to=2026-03-01T\d\d%3A\d\dZ$"))
        await expect(page.locator("#numbers")).to_contain_text("Runs1")


async def test_a_version_is_restored_and_the_restoration_is_undone(browser: Browser) -> None:
    async with open_site(browser, ApiClient()) as shown:
        job = {"name": "stored", "check": {"kind": "http", "url": "http://127.0.0.1:9/a"}}
        await shown.desk.post_json("/api/jobs", job)
        headers = {"if-match": "*", "content-type": "application/merge-patch+json"}
        change = {"description": "changed"}
        await shown.desk.request("PATCH", "/api/jobs/stored", json=change, headers=headers)
        page = await shown.open("/api/dashboard/jobs/stored/definition")

        await page.get_by_role("button", name="Restore version 1").click()
        await expect(page.get_by_role("rowheader", name="3 in force")).to_be_visible()
        assert (await shown.desk.get("/api/jobs/stored")).json()["definition"].get("description", "") == ""
        await page.get_by_role("button", name="Undo").click()
        await expect(page.get_by_role("rowheader", name="4 in force")).to_be_visible()
        assert (await shown.desk.get("/api/jobs/stored")).json()["definition"]["description"] == "changed"
