"""The pages of a job and a run in Chromium: what the buttons and keys do."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, expect

from tests.jobs.running.run_parts import answer
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import Site, open_site
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
        await page.wait_for_load_state("networkidle")
        await page.keyboard.press("[")
        await expect(page).to_have_url(re.compile(re.escape(run_id)))


CURSOR = ".chart-cursor input"


async def perform_some(shown: Site) -> None:
    """Runs of three hours, the last of which goes on."""
    for hours in range(-2, 1):
        await shown.desk.perform(seconds=hours * 3600.0)


async def test_a_chart_shows_its_numbers_and_selects_a_period(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        await perform_some(shown)
        page = await shown.open(f"{PAGE}?period=24h", viewport={"width": 1000, "height": 500})
        chart = page.get_by_role("img", name=re.compile("Response time"))
        await chart.scroll_into_view_if_needed()
        box = await chart.bounding_box()
        assert box is not None
        at, y = box["x"] + box["width"] * 0.98, box["y"] + 40
        await page.mouse.move(at, y)
        numbers = page.locator("#chart-numbers")
        await expect(numbers).to_contain_text(
            re.compile(r"1 Mar 12:00, so far.*State.*Response timep50 \d.*Runssucceeded 1")
        )
        assert await page.locator(".cross-hair").count() == await page.locator(".chart-plot").count()

        await page.mouse.down()
        await page.mouse.move(at - box["width"] * 0.3, y)
        await expect(page.locator(".chart-selection").first).to_be_visible()
        await page.mouse.up()
        await expect(page).to_have_url(re.compile(r"\?from=2026-03-01T\d\d%3A\d\dZ&to=2026-03-01T\d\d%3A\d\dZ$"))
        await expect(page.locator("#history")).to_contain_text("From 2026-03-01")
        assert (await chart.bounding_box() or {})["y"] == pytest.approx(box["y"], abs=50)  # a line of controls more
        await page.go_back()
        await expect(page.locator("#history")).to_contain_text("In the last 24 hours")
        assert (await chart.bounding_box() or {})["y"] == pytest.approx(box["y"], abs=60)


async def test_keys_move_the_cross_hair_and_zoom_and_find_the_way_back(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        await perform_some(shown)
        page = await shown.open(f"{PAGE}?period=24h")
        cursor = page.locator(CURSOR)
        await cursor.focus()
        await expect(cursor).to_have_attribute("aria-valuetext", re.compile("^At 1 Mar 12:00"))
        await page.keyboard.press("ArrowLeft")
        await expect(cursor).to_have_attribute(
            "aria-valuetext", re.compile(r"^At 1 Mar 11:00; State .*; Response time p50 ")
        )
        for _ in range(2):
            await page.keyboard.press("Shift+ArrowLeft")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("from=2026-03-01T09%3A30Z&to=2026-03-01T11%3A30Z"))
        await expect(page.locator("#history")).to_contain_text("From 2026-03-01 09:30")
        await page.keyboard.press("-")
        await expect(page.locator("#history")).to_contain_text("From 2026-03-01 08:30 to 2026-03-01 12:00")
        await page.keyboard.press("0")
        await expect(page.locator("#history")).to_contain_text("In the last")
        await expect(page).to_have_url(re.compile("checkout$"))


async def test_a_finger_moves_the_cross_hair_and_two_fingers_zoom(browser: Browser) -> None:
    async with open_site(browser, ApiClient(jobs=[entry()])) as shown:
        await perform_some(shown)
        page = await shown.open(f"{PAGE}?period=24h", viewport={"width": 390, "height": 844}, has_touch=True)
        chart = page.get_by_role("img", name=re.compile("Response time"))
        await chart.scroll_into_view_if_needed()
        box = await chart.bounding_box()
        assert box is not None
        y = box["y"] + 40
        await page.touchscreen.tap(box["x"] + box["width"] * 0.98, y)
        await expect(page.locator("#chart-numbers")).to_contain_text("1 Mar 12:00, so far")

        fingers = await page.context.new_cdp_session(page)

        async def touch(kind: str, *shares: float) -> None:
            points = [
                {"x": box["x"] + box["width"] * share, "y": y, "id": number} for number, share in enumerate(shares)
            ]
            await fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        await touch("touchStart", 0.5)
        await touch("touchStart", 0.5, 0.6)
        await touch("touchMove", 0.4, 0.8)
        await touch("touchEnd")
        await expect(page).to_have_url(re.compile(r"\?from=2026-02-28T2\d%3A\d\dZ&to=2026-03-01T0\d%3A\d\dZ$"))


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
