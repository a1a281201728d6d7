"""Actions on selected jobs in Chromium: preview, result, undo."""

from __future__ import annotations

import pytest
from playwright.async_api import Browser, Page, expect

from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import Site, open_site
from tests.scheduler.fakes import entry

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

JOBS = [entry("checkout", tags={"team": "payments"}), entry("shop"), entry("wiki")]
PAGE = "/api/dashboard/selection"


async def paused(site: Site) -> set[str]:
    return {job["name"] for job in (await site.desk.get("/api/jobs")).json()["jobs"] if job["pause"]}


async def open_action(page: Page, name: str) -> None:
    await page.get_by_role("button", name="All on this page").click()
    await page.get_by_role("region", name="Selected jobs").get_by_role("button", name=name).click()


async def test_pausing_a_selection_can_be_undone_and_leaves_other_pauses(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        await site.desk.post_json("/api/jobs/wiki/pause", {"reason": "moved"})
        page = await site.open(PAGE)
        await open_action(page, "Pause")
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("heading")).to_have_text("Pause 2 jobs?")
        await expect(dialog.get_by_role("list", name="Not changed")).to_contain_text(
            "wiki is already paused until it is resumed: moved"
        )
        assert await paused(site) == {"wiki"}
        await dialog.get_by_label("Reason").fill("<b>release</b>")
        await dialog.get_by_label("Until").select_option("2h")
        await dialog.get_by_role("button", name="Pause 2 jobs").click()
        await expect(dialog.get_by_role("heading")).to_have_text("Paused 2 of 2 jobs")
        assert await paused(site) == {"checkout", "shop", "wiki"}
        await expect(page.locator("#job-shop")).to_contain_text("<b>release</b>")

        await site.desk.post_json("/api/jobs/shop/pause", {"reason": "other"})
        await dialog.get_by_role("button", name="Undo").click()
        await expect(page.locator("#toasts")).to_contain_text("Resumed 1 job. 1 had changed meanwhile")
        assert await paused(site) == {"shop", "wiki"}


async def test_resuming_a_selection_can_be_undone_with_its_reasons(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        await site.desk.post_json("/api/jobs/wiki/pause", {"reason": "moved"})
        page = await site.open(PAGE)
        await open_action(page, "Resume")
        dialog = page.get_by_role("dialog")
        await dialog.get_by_role("button", name="Resume 1 job").click()
        await expect(dialog.get_by_role("heading")).to_have_text("Resumed 1 of 1 job")
        assert await paused(site) == set()
        await dialog.get_by_role("button", name="Undo").click()
        await expect(page.locator("#toasts")).to_contain_text("Paused 1 job as before.")
        assert (await site.desk.get("/api/jobs/wiki")).json()["pause"]["reason"] == "moved"


async def test_jobs_are_selected_in_the_overview(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        page = await site.open()
        await expect(page.locator("[data-select=shop]")).to_be_hidden()
        await page.get_by_role("button", name="Select", exact=True).click()
        await page.get_by_label("Select shop").check()
        await site.desk.perform("wiki")
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        await expect(page.locator("#job-wiki")).to_contain_text("succeeded")
        await expect(page.locator("#selection-count")).to_have_text("1 job selected")
        await expect(page.get_by_label("Select shop")).to_be_checked()
        await page.get_by_role("button", name="Clear").click()
        await expect(page.locator("[data-select=shop]")).to_be_hidden()

        await page.goto(f"{site.url}{PAGE}?q=sho#all")
        await expect(page.locator("#selection-count")).to_have_text("1 job selected")


async def test_a_refresh_leaves_the_focus_on_an_action_of_the_bar(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        page = await site.open(PAGE)
        silence = page.get_by_role("button", name="Silence")
        await silence.focus()
        await site.desk.post_json("/api/jobs/checkout/pause", {})
        await page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

        await expect(page.locator("#job-checkout")).to_contain_text("paused")
        await expect(silence).to_be_focused()


async def test_a_selection_is_run_and_silenced_by_keyboard(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        page = await site.open(f"{PAGE}?tag=team%3Dpayments")
        await page.keyboard.press("j")
        await page.keyboard.press("x")
        await expect(page.locator("#selection-count")).to_have_text("1 job selected")
        await page.get_by_role("button", name="Run now").press("Enter")
        dialog = page.get_by_role("dialog")
        await expect(dialog.get_by_role("button", name="Run 1 job")).to_be_focused()
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("heading")).to_have_text("Started a run of 1 of 1 job")
        await page.keyboard.press("Escape")

        await page.get_by_role("button", name="Silence").press("Enter")
        await dialog.get_by_label("Reason").fill("known")
        await page.keyboard.press("Enter")
        await expect(dialog.get_by_role("heading")).to_have_text("Silenced 1 of 1 job")
        silence = (await site.desk.get("/api/silences")).json()["silences"][0]
        assert (silence["select"], silence["reason"], silence["state"]) == ({"jobs": ["checkout"]}, "known", "active")
        await dialog.get_by_role("button", name="Undo").click()
        await expect(page.locator("#toasts")).to_contain_text("The silence has ended.")
        assert (await site.desk.get("/api/silences")).json()["silences"][0]["state"] == "ended"
