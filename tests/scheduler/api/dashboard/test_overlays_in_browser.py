"""What opens above a page in Chromium: menus, the command palette and the list of keys."""

from __future__ import annotations

import re
from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.jobs.running.run_parts import answer
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import open_site
from tests.scheduler.fakes import entry

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True}
JOB = "/api/dashboard/jobs/checkout"


async def test_names_that_begin_with_the_typed_text_are_first_in_the_palette(browser: Browser) -> None:
    jobs = [entry("a-checkout"), entry("archecker"), entry("checkout")]
    async with open_site(browser, ApiClient(jobs=jobs)) as site:
        page = await site.open("/api/dashboard")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("che")

        await expect(page.get_by_role("dialog").get_by_role("option")).to_have_text(
            [
                "checkout job",
                "a-checkout job",
                "Schedule g s",
                "archecker job",
                "Search all jobs for “che” name, target, tag, state",
            ]
        )


async def test_what_the_palette_does_not_find_is_searched_on_the_overview(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry("api", tags={"team": "payments"}), entry("batch")])) as site:
        page = await site.open("/api/dashboard/incidents")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("team=payments")
        await expect(page.get_by_role("dialog").get_by_role("option")).to_have_text(
            ["Search all jobs for “team=payments” name, target, tag, state"]
        )
        await page.keyboard.press("Enter")

        await expect(page.locator("tr[data-row]")).to_have_count(1)
        await expect(page.locator(".chips a")).to_have_text("team=payments \N{MULTIPLICATION SIGN}")


async def test_the_palette_opens_a_run_by_its_id_and_offers_it_again(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as site:
        run = await site.desk.perform()
        page = await site.open("/api/dashboard")
        await page.keyboard.press("Control+k")
        await page.keyboard.insert_text(run)
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile(f"/runs/{re.escape(run)}$"))
        await page.goto(site.url + "/api/dashboard")
        await page.keyboard.press("Control+k")

        await expect(page.get_by_role("dialog").get_by_role("option").first).to_have_text(f"{run} recent")


async def test_rows_follow_the_search_while_it_is_typed(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry("api", tags={"team": "payments"}), entry("batch")])) as site:
        page = await site.open("/api/dashboard")
        await page.get_by_role("searchbox").press_sequentially("paym")

        await expect(page.locator("tr[data-row]")).to_have_count(1)
        await expect(page.get_by_role("searchbox")).to_be_focused()
        await page.get_by_role("searchbox").fill("")
        await expect(page.locator("tr[data-row]")).to_have_count(2)


async def test_enter_before_the_jobs_are_found_opens_the_first_that_is_found(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry("checkout"), entry("checkout-eu")])) as site:
        page = await site.open("/api/dashboard")
        await page.keyboard.press("Control+k")
        await page.keyboard.insert_text("checkout")
        await page.keyboard.press("Enter")

        await expect(page).to_have_url(re.compile(f"{JOB}$"))


async def test_a_requested_run_shows_its_result_and_leads_to_its_page(browser: Browser) -> None:
    async with open_site(browser, ApiClient(answer(503), jobs=[entry(retry={"attempts": 1})])) as site:
        page = await site.open(JOB)
        await page.get_by_role("button", name="Run now").click()
        await expect(page.locator(".toast.failed")).to_contain_text(
            re.compile("checkout failed after .* ms, status 503: ")
        )
        await page.locator(".toast").get_by_role("link", name="Open").click()

        await expect(page).to_have_url(re.compile("/api/dashboard/runs/checkout(@|%40)"))


async def test_the_list_of_keys_begins_with_its_title_on_a_small_screen(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as site:
        page = await site.open("/api/dashboard", **PHONE)
        await page.keyboard.press("?")

        await expect(page.get_by_role("heading", name="Keyboard")).to_be_in_viewport()
        await expect(page.get_by_role("button", name="Close")).to_be_focused()


@pytest.mark.parametrize(
    ("path", "menu"),
    [
        ("/api/dashboard", "#views"),
        ("/api/dashboard", ".site-status > .menu"),
        ("/api/dashboard", ".site-navigation > .menu"),
        (JOB, "#pause-menu"),
        (JOB, "#period-menu"),
    ],
)
async def test_a_menu_is_within_the_width_of_a_phone(browser: Browser, path: str, menu: str) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as site:
        page = await site.open(path, **PHONE)
        await page.locator(f"{menu} > summary").tap()
        box = await page.locator(f"{menu} > .menu-content").bounding_box()

    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360
