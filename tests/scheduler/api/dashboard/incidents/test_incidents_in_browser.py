"""An engineer on call handles incidents and windows in Chromium: by keyboard alone, and on a phone with one thumb."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import Browser, expect

from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import open_site
from tests.scheduler.api.routes.test_incidents import JOBS, OURS, store_incident

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PATH = f"/api/dashboard/incidents/{OURS}"
PHONE = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


async def test_an_incident_is_handled_by_keyboard_alone(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        await store_incident(site.desk, OURS, "checkout")
        page = await site.open(PATH)
        handled = page.locator("#handled")

        await page.keyboard.press("a")
        await expect(handled).to_contain_text("acknowledged by local:loopback")
        await page.keyboard.press("s")
        await page.keyboard.press("Enter")  # the first choice, 1 hour, has the focus
        await expect(handled).to_contain_text("snoozed by local:loopback until")
        undo = page.get_by_role("button", name="Undo")
        await undo.last.click()
        await expect(handled).to_contain_text("acknowledged by local:loopback")
        await page.keyboard.press("u")
        await expect(handled).to_have_text("not acknowledged")
        await undo.last.click()
        await expect(handled).to_contain_text("acknowledged by local:loopback")
        await page.keyboard.press("n")
        await page.keyboard.type("the provider repairs it")
        await page.keyboard.press("Enter")
        await expect(page.locator("#section-timeline")).to_contain_text("the provider repairs it")
        await page.keyboard.press("m")
        await page.keyboard.press("Tab")
        second = page.get_by_role("button", name="all with team=payments")
        # The browser's own event comes late on a busy machine.
        await page.locator("details.menu[open]").dispatch_event("toggle")
        await expect(second).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("details.menu[open]")).to_have_count(0)


async def test_the_bundle_is_copied_or_downloaded(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        await store_incident(site.desk, OURS, "checkout")
        page = await site.open(PATH)
        await page.evaluate("void (navigator.clipboard.writeText = async (text) => { window.copied = text; })")
        button = page.get_by_role("button", name="Copy bundle")
        await button.click()
        await expect(page.get_by_text("Copied.")).to_be_visible()
        assert (await page.evaluate("window.copied")).startswith("# `DOWN checkout`\n")

        await page.evaluate("void (navigator.clipboard.writeText = () => Promise.reject(new Error('denied')))")
        async with page.expect_download() as download:
            await button.click()
        assert (await download.value).suggested_filename == f"incident-{OURS}.md"
        await expect(page.get_by_text("The browser does not allow a copy: the text is downloaded.")).to_be_visible()


@pytest.mark.parametrize("options", [{}, PHONE], ids=["wide", "phone"])
async def test_undo_and_close_are_side_by_side_in_a_message(browser: Browser, options: dict[str, Any]) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        await store_incident(site.desk, OURS, "checkout")
        page = await site.open(PATH, reduced_motion="reduce", **options)
        await page.get_by_role("button", name="Acknowledge", exact=True).click()
        await page.get_by_role("button", name="Undo").wait_for()
        undo = await page.get_by_role("button", name="Undo").bounding_box()
        close = await page.get_by_role("button", name="Close this message").bounding_box()

    assert undo is not None
    assert close is not None
    assert undo["width"] > undo["height"]
    assert close["y"] == undo["y"]
    assert close["x"] > undo["x"] + undo["width"]


async def test_an_incident_is_handled_on_a_phone_with_one_thumb(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        await store_incident(site.desk, OURS, "checkout")
        page = await site.open(PATH, **PHONE)
        actions = page.get_by_role("group", name="Actions")
        box = await actions.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] == pytest.approx(740, abs=1)
        assert await page.evaluate("document.documentElement.scrollWidth") == 360
        for each in await actions.locator("> button, summary").all():
            target = await each.bounding_box()
            assert target is not None
            assert target["height"] >= 44

        await actions.get_by_text("Silence").tap()
        await actions.get_by_role("button", name="all with team=payments").tap()
        await page.get_by_role("button", name="Undo").tap()
        await expect(page.get_by_role("region", name="Messages")).to_contain_text("Undone.")
        silences = (await site.desk.get("/api/silences")).json()["silences"]
        assert [each["state"] for each in silences] == ["ended"]


async def test_a_window_is_previewed_and_planned_with_a_form(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=JOBS)) as site:
        page = await site.open("/api/dashboard/maintenance")
        await page.keyboard.press("r")
        await page.get_by_text("Wed", exact=True).click()
        await page.get_by_label("Jobs or groups").fill("check*")
        await page.get_by_label("Tags").fill("team=payments")
        await page.get_by_role("button", name="Preview").click()
        await expect(page.get_by_text("each week WED, SUN 02:00 to 05:00 (UTC)").first).to_be_visible()
        await expect(page.get_by_text("Covers 1 job now: checkout")).to_be_visible()
        # A page that loads has no keys before its scripts run. Planning therefore loads no page.
        await page.route("**/*.js*", lambda route: route.abort())

        await page.get_by_role("button", name="Plan", exact=True).click()
        planned = page.get_by_role("region", name="Planned").get_by_role("listitem")
        await expect(planned).to_contain_text("jobs check*, tags team: payments")
        await page.keyboard.press("d")
        await expect(planned).to_have_count(0)
        await page.get_by_role("button", name="Undo").click()
        await expect(planned).to_have_count(1)
