"""The pages of operations in Chromium: by keyboard, through the menu More, with confirmations, on a phone."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from scheduler.stores.dead_letters import DeadLetter
from tests.jobs.running.run_parts import REFUSED, answer
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import open_site
from tests.scheduler.fakes import entry

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LONG = "payments.settlement-reconciliation.export_to_the_data_warehouse_nightly_" + "x" * 25
ONCE: dict[str, Any] = {"retry": {"attempts": 1}}


async def store_letters(client: ApiClient, *jobs: str) -> None:
    letters = [
        DeadLetter.from_ticket(client.shop.ticket(-number, job), "the worker ended", client.shop.clock.now(), 3)
        for number, job in enumerate(jobs)
    ]
    await client.shop.dead_letters.add_all(letters)


async def test_dead_letters_are_replayed_and_discarded_by_keyboard(browser: Browser) -> None:
    async with open_site(browser, ApiClient(answer(), jobs=[entry(), entry("other")])) as site:
        await store_letters(site.desk, "checkout", "other")
        page = await site.open("/api/dashboard")
        page.on("dialog", lambda dialog: dialog.accept())

        await page.keyboard.press("g")
        await page.keyboard.press("l")
        await expect(page.get_by_role("heading", name="Dead letters")).to_be_visible()
        first = page.locator("[data-row]").first
        await page.keyboard.press("j")
        await page.keyboard.press("p")
        await expect(first).to_contain_text("replayed")
        await expect(page.locator("#toasts")).to_contain_text("A run replays the letter.")

        await first.get_by_role("button", name="Discard").click()
        await expect(page.locator("[data-row]")).to_have_count(1)


async def test_the_letters_of_a_filter_are_replayed_together(browser: Browser) -> None:
    async with open_site(browser, ApiClient(answer(), jobs=[entry(), entry("other")])) as site:
        await store_letters(site.desk, "checkout", "checkout", "other")
        page = await site.open("/api/dashboard/dead-letters")
        page.on("dialog", lambda dialog: dialog.accept())

        await page.get_by_label("Job").fill("checkout")
        await page.get_by_role("button", name="Filter").click()
        await expect(page.locator("[data-row]")).to_have_count(2)
        await page.get_by_text("Replay several letters").click()
        await page.locator("#replay-all").get_by_role("button", name="Replay").click()
        await expect(page.locator("[data-row]").filter(has_text="replayed")).to_have_count(2)
        assert {letter.job for letter in await replayed(site.desk)} == {"checkout"}


async def replayed(client: ApiClient) -> list[DeadLetter]:
    return [letter for letter in await client.shop.dead_letters.list_letters() if letter.replay is not None]


async def test_a_circuit_is_held_open_for_an_hour_and_reset(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry(circuit={"consecutive_failures": 3})])) as site:
        page = await site.open("/api/dashboard/circuits/checkout")
        form = page.locator("form").filter(has=page.get_by_role("heading", name="Hold open"))
        await form.get_by_label("Reason").fill("maintenance")
        await form.get_by_role("button", name="Hold open").click()
        await expect(page.locator("#headline")).to_contain_text("held open")
        await expect(page.locator("#facts")).to_contain_text("held open, set over the API")
        await expect(page.locator("#facts")).to_contain_text("(in ")

        await page.get_by_role("button", name="Reset").click()
        await expect(page.locator("#headline")).to_contain_text("closed")


async def test_the_menu_leads_to_each_page_and_closes_by_escape(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as site:
        page = await site.open("/api/dashboard", viewport={"width": 360, "height": 700})
        menu = page.locator(".site-navigation details")
        await menu.locator("summary").click()
        await expect(menu.get_by_role("link", name="Audit")).to_be_in_viewport()
        await menu.get_by_role("link", name="Audit").focus()
        await page.keyboard.press("Escape")
        await expect(menu.get_by_role("link", name="Audit")).to_be_hidden()
        await expect(menu.locator("summary")).to_be_focused()

        await menu.locator("summary").click()
        await menu.get_by_role("link", name="Audit").click()
        await expect(page.get_by_role("heading", name="Audit trail")).to_be_visible()


async def test_long_names_make_no_page_wider_than_a_phone(browser: Browser) -> None:
    check = {"url": "http://127.0.0.1:9/", "auth": {"kind": "bearer", "token": {"secret": "a" * 120}}}
    circuit = {"consecutive_failures": 1, "open_for": "10m"}
    async with open_site(browser, ApiClient(REFUSED, jobs=[entry(LONG, circuit=circuit, check=check, **ONCE)])) as site:
        await site.desk.perform(LONG)
        await store_letters(site.desk, LONG)
        for name in ("runs", "dead-letters", "circuits", f"circuits/{LONG}", "secrets", "audit", "health", "settings"):
            page = await site.open(f"/api/dashboard/{name}")
            await expect_fits(page, 360)
            await page.close()


async def expect_fits(page: Page, width: int) -> None:
    await page.set_viewport_size({"width": width, "height": 800})
    assert await page.evaluate("document.documentElement.scrollWidth") <= width, page.url
