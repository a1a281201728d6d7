"""Strips of bars in Chromium: values and selections by mouse, touch and keys; the lines of texts in rows of tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from jobs.runs import Outcome
from tests.jobs.running.virtual_time import restart_clock
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.every_page.states import open_used
from tests.scheduler.api.dashboard.site import Site, open_site
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

RUNS, OVERVIEW = "/api/dashboard/runs", "/api/dashboard"
PAGES_WITH_TABLES = ("runs", "incidents", "schedule", "dead-letters", "circuits", "audit", "jobs/checkout")
PHONE: dict[str, Any] = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
REASON = "the answer was 503"

BASELINES = """() => {
  const OTHER = ".visually-hidden, .tag, button, summary, code, .quiet, svg";
  const size = (node) => getComputedStyle(node).fontSize;
  const topOf = (cell) => {
    const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
    const isPlain = (text) => text.textContent.trim() && !text.parentElement.closest(OTHER);
    let text = walker.nextNode();
    while (text && !isPlain(text)) text = walker.nextNode();
    if (!text || size(text.parentElement) !== size(document.body)) return [];
    const range = document.createRange();
    range.selectNodeContents(text);
    return [...range.getClientRects()].slice(0, 1).map((area) => area.top);
  };
  return [...document.querySelectorAll("main tbody tr")].flatMap((row) => {
    const cells = [...row.cells].filter((cell) => cell.checkVisibility() && !cell.closest(".heat, .jobs"));
    const tops = cells.flatMap(topOf);
    return tops.length && Math.max(...tops) - Math.min(...tops) > 0.6 ? [`${row.innerText.slice(0, 80)}: ${tops}`] : [];
  });
}"""
"""Rows whose texts of the normal size begin at different heights. Pages of cards and drawings are left out."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(shared_browser: Browser) -> AsyncIterator[Site]:
    """A job with a failed run half an hour ago, and good ones before."""
    restart_clock()
    client = ApiClient(jobs=[entry()])
    async with open_site(shared_browser, client) as found:
        for minutes in (-1320, -240, -120, -30):
            ticket = client.shop.ticket(60.0 * minutes)
            await client.store_finished(ticket, run_of(ticket, Outcome.FAILED if minutes == -30 else Outcome.SUCCEEDED))
        yield found


def ends_of(page: Page) -> tuple[str, str]:
    query = parse_qs(urlsplit(page.url).query)
    return query["from"][0], query["to"][0]


def value(page: Page) -> Locator:
    return page.locator("#bar-value")


async def middle_of(bar: Locator) -> tuple[float, float]:
    box = await bar.bounding_box()
    assert box is not None
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def test_a_mouse_reads_a_bar_and_selects_several(site: Site) -> None:
    page = await site.open(RUNS)
    bars = page.locator("a.bar")
    await page.mouse.move(*await middle_of(bars.nth(22)))
    await expect(value(page)).to_have_text("1 Mar 11:00 to 12:00: 1 run, 1 failed")

    await page.mouse.move(*await middle_of(bars.nth(20)))
    await page.mouse.down()
    await page.mouse.move(*await middle_of(bars.nth(22)), steps=4)
    await expect(value(page)).to_contain_text("3 bars, from 1 Mar 09:00")
    await page.mouse.up()
    await page.wait_for_url("**from=**")

    assert ends_of(page) == ("2026-03-01T09:00:00Z", "2026-03-01T11:59:59.999Z")
    await expect(page.locator("tbody tr[data-row]")).to_have_count(2)


async def test_keys_read_the_bars_and_select_several(site: Site) -> None:
    page = await site.open(RUNS)
    last = page.locator("a.bar").last
    await last.focus()
    await page.keyboard.press("ArrowLeft")
    await expect(value(page)).to_have_text("1 Mar 11:00 to 12:00: 1 run, 1 failed")
    assert await page.locator('a.bar[tabindex="0"]').count() == 1

    await page.keyboard.press("Shift+ArrowLeft")
    await expect(value(page)).to_contain_text("2 bars, from 1 Mar 10:00")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**from=**")

    assert ends_of(page) == ("2026-03-01T10:00:00Z", "2026-03-01T11:59:59.999Z")


async def test_a_finger_reads_a_bar_opens_it_with_a_second_touch_and_selects_several(site: Site) -> None:
    page = await site.open(RUNS, **PHONE)
    bar = page.locator("a.bar").nth(22)
    await page.touchscreen.tap(*await middle_of(bar))
    await expect(value(page)).to_have_text("1 Mar 11:00 to 12:00: 1 run, 1 failed")
    assert "from=" not in page.url
    await page.touchscreen.tap(*await middle_of(bar))
    await page.wait_for_url("**from=**")
    assert ends_of(page) == ("2026-03-01T11:00:00Z", "2026-03-01T11:59:59.999Z")

    page = await site.open(RUNS, **PHONE)
    (left, y), (right, _) = [await middle_of(page.locator("a.bar").nth(number)) for number in (20, 22)]
    await drag_finger(page, left, right, y)
    await page.wait_for_url("**from=**")
    assert ends_of(page) == ("2026-03-01T09:00:00Z", "2026-03-01T11:59:59.999Z")


async def drag_finger(page: Page, left: float, right: float, y: float) -> None:
    session = await page.context.new_cdp_session(page)
    points = [left + (right - left) * number / 5 for number in range(6)]
    for number, x in enumerate(points):
        kind = "touchMove" if number else "touchStart"
        await session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y}]})
    await session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


async def test_a_bar_of_a_job_has_its_value_by_mouse_and_opens_its_time(site: Site) -> None:
    page = await site.open(OVERVIEW)
    strip = page.locator(".bars-link")
    box = await strip.bounding_box()
    assert box is not None
    place, y = box["x"] + box["width"] * 87.5 / 90, box["y"] + box["height"] / 2
    await page.mouse.move(place, y)
    await expect(value(page)).to_have_text(f"1 Mar, 11:28 to 11:44: 1 run, 1 failed. {REASON}")

    await page.mouse.click(place, y)
    await page.wait_for_url("**/jobs/checkout?from=**")
    assert ends_of(page) == ("2026-03-01T11:28:00.000Z", "2026-03-01T11:43:59.999Z")
    await expect(page.locator("#headline")).to_contain_text("checkout")


async def test_a_bar_of_a_job_has_its_value_by_keys(site: Site) -> None:
    page = await site.open(OVERVIEW)
    await page.keyboard.press("Tab")  # the focus is by the keyboard
    await page.locator(".bars-link").focus()
    await expect(value(page)).to_contain_text("no run")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    await expect(value(page)).to_contain_text(REASON)
    await page.keyboard.press("Escape")
    await expect(value(page)).to_have_count(0)
    await page.keyboard.press("Home")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/jobs/checkout?from=**")


async def test_a_finger_reads_the_bars_of_a_job_without_opening_them(site: Site) -> None:
    page = await site.open(OVERVIEW, **PHONE)
    box = await page.locator(".bars-link").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    await drag_finger(page, box["x"] + 10, box["x"] + box["width"] * 87.5 / 90, y)
    await expect(value(page)).to_contain_text(REASON)
    assert page.url.endswith(OVERVIEW)


async def test_without_a_script_bars_are_links(site: Site) -> None:
    page = await site.open(RUNS, java_script_enabled=False)
    await page.locator("a.bar").nth(22).click()
    assert ends_of(page) == ("2026-03-01T11:00:00Z", "2026-03-01T11:59:59.999Z")
    page = await site.open(OVERVIEW, java_script_enabled=False)
    assert "1 failure" in str(await page.locator(".bars-link").get_attribute("aria-label"))
    await page.locator(".bars-link").click()
    assert page.url.endswith("/jobs/checkout")


async def test_the_texts_of_a_row_stand_on_one_line(browser: Browser) -> None:
    async with open_used(browser) as (used, _):
        page = await used.create_page(viewport={"width": 1440, "height": 900})
        found: list[str] = []
        for name in (
            "runs",
            "incidents",
            "schedule",
            "dead-letters",
            "circuits",
            "audit",
            "maintenance",
            "jobs/checkout",
        ):
            await page.goto(f"{used.url}/api/dashboard/{name}")
            found += [f"{name} {each}" for each in await page.evaluate(BASELINES)]
            heights = await page.evaluate(
                "[...document.querySelectorAll('main tbody a')].map((each) => each.getBoundingClientRect().height)"
            )
            found += [f"{name}: a link is {height} px high" for height in heights if 0 < height < 24]
        assert not found, "\n".join(found)
