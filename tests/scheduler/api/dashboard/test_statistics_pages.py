"""The pages of the slowest, of comparisons and of objectives: their content, and how many interactions lead to them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from jobs.runs import Outcome
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.every_page.states import open_used
from tests.scheduler.api.dashboard.page_text import get_page, visible_text
from tests.scheduler.api.dashboard.site import Site
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of

PATH = "/api/dashboard"
JOBS = [entry("checkout", tags={"team": "pay"}, slo={"target": 90}), entry("search"), entry("idle")]


async def finish(client: ApiClient, job: str, seconds: float, outcome: Outcome = Outcome.SUCCEEDED) -> None:
    ticket = client.shop.ticket(seconds, job)
    await client.store_finished(ticket, replace(run_of(ticket), outcome=outcome))


async def test_the_slowest_are_in_the_order_of_their_p95_and_link_to_their_comparison() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await finish(client, "checkout", -60)
        html = await get_page(client, f"{PATH}/slowest?tag=team%3Dpay&by=tag:team")
        empty = visible_text(await get_page(client, f"{PATH}/slowest?tag=team%3Dnone"))
    assert "None of 1 got slower" in visible_text(html)
    assert "/api/dashboard/slowest?by=tag%3Ateam&amp;tag=team%3Dpay&amp;sort=slower" in html
    assert "pay 1 job" in visible_text(html)
    assert "/api/dashboard/compare?tag=team%3Dpay" in html
    assert "No job with the tag team=none has run in the last 24 h." in empty


async def test_a_comparison_names_its_sides_and_marks_the_worse_one() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await finish(client, "checkout", -60, Outcome.FAILED)
        await finish(client, "checkout", -86400 * 1.5)
        html = await get_page(client, f"{PATH}/compare?job=checkout")
        jobs = visible_text(await get_page(client, f"{PATH}/compare?job=checkout&other_job=search"))
        unknown = visible_text(await get_page(client, f"{PATH}/compare?job=chekout"))
        unmarked = visible_text(await get_page(client, f"{PATH}/compare?job=search&preset=deployment"))
    text = visible_text(html)
    assert "Success 0 % 100 % \N{MINUS SIGN}100 points" in text
    assert 'class="number worse">\N{MINUS SIGN}100 points' in html
    assert "checkout and search" in jobs
    assert "There is no job named 'chekout'" in unknown
    assert "No deployment is marked that concerns these jobs" in unmarked


async def test_a_trend_has_the_same_weekdays_or_says_that_they_are_not_known() -> None:
    async with ApiClient(jobs=JOBS) as client:
        for days in (0, 1, 7, 14, 21, 28):
            await finish(client, "checkout", -60 - 86400 * days, Outcome.SUCCEEDED if days else Outcome.FAILED)
        html = await get_page(client, f"{PATH}/compare?job=checkout&preset=trend")
        unknown = visible_text(await get_page(client, f"{PATH}/compare?job=search&preset=trend"))
    points = "\N{MINUS SIGN}100 points"
    assert f"Success 0 % 100 % {points} 100 % {points}" in visible_text(html)
    assert "Same weekdays: the median of the same weekdays of the 4 weeks before." in visible_text(html)
    assert "Same weekdays: not known: 4 of the 4 weeks before have no runs" in unknown


async def test_a_period_in_the_address_is_compared_with_the_other_one_in_the_zone_of_the_browser() -> None:
    async with ApiClient(jobs=JOBS) as client:
        query = "job=checkout&from=2026-03-01T10:00&to=2026-03-01T12:00&other_from=2026-02-22T10:00"
        headers = {"accept": "text/html", "cookie": "scheduler_zone=Europe/Berlin"}
        text = visible_text((await client.request("GET", f"{PATH}/compare?{query}", headers=headers)).text)
    assert "first Sun 01 Mar 10:00 to Sun 01 Mar 12:00 other Sun 22 Feb 10:00 to Sun 22 Feb 12:00" in text


async def test_the_objectives_have_their_budgets_and_an_empty_list_says_how_to_define_one() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await finish(client, "checkout", -60, Outcome.FAILED)
        text = visible_text(await get_page(client, f"{PATH}/objectives"))
        facts = visible_text(await get_page(client, f"{PATH}/jobs/checkout"))
    async with ApiClient(jobs=[entry("search")]) as client:
        empty = visible_text(await get_page(client, f"{PATH}/objectives"))
    assert "exhausted 0 % was good" in text
    assert "Burn rate, 1h 10" in text
    assert "exhausted 90 % of runs in 30d, 0 % of the budget left" in facts
    assert "Add slo: {target: 99.9} to the definition of a job" in empty


HANDS = {
    "mouse": {"viewport": {"width": 1440, "height": 900}},
    "touch": {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True},
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(shared_browser: Browser) -> AsyncIterator[Site]:
    async with open_used(shared_browser) as (site, _):
        yield site


async def follow(page: Page, hand: str, name: str) -> None:
    link = page.get_by_role("link", name=name, exact=True).first
    await (link.tap() if hand == "touch" else link.click())


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("hand", [*HANDS, "keyboard"])
async def test_the_slowest_by_p95_are_one_interaction_away(site: Site, hand: str) -> None:
    page = await site.open(PATH, **HANDS.get(hand, HANDS["mouse"]))

    if hand == "keyboard":
        await page.keyboard.press("g")
        await page.keyboard.press("w")
    else:
        await follow(page, hand, "Slowest")

    await expect(page.get_by_role("columnheader", name="p95")).to_have_attribute("aria-sort", "descending")
    await page.context.close()


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
@pytest.mark.parametrize("hand", [*HANDS, "keyboard"])
async def test_two_periods_of_a_job_are_compared_in_three_interactions_from_the_overview(site: Site, hand: str) -> None:
    page = await site.open(PATH, **HANDS.get(hand, HANDS["mouse"]))

    if hand == "keyboard":
        await page.keyboard.press("g")
        await page.keyboard.press("p")
        await expect(page.get_by_label("Job", exact=True)).to_be_focused()
        await page.keyboard.type("checkout")
        await page.keyboard.press("Enter")
        sides = ("this period", "the period before")
    else:
        for name in ("checkout", "Compare", "This week and last week"):
            await follow(page, hand, name)
        sides = ("this week", "last week")

    for side in sides:
        await expect(page.get_by_role("columnheader", name=side, exact=True)).to_be_visible()
    await page.context.close()


@pytest.mark.browser
@pytest.mark.asyncio(loop_scope="session")
async def test_the_numbers_and_charts_of_a_job_are_near_the_top(site: Site) -> None:
    page = await site.open(f"{PATH}/jobs/basket", **HANDS["mouse"])

    parts = [await page.locator(part).first.bounding_box() for part in (".tiles", ".charts")]

    assert [part is not None and part["y"] < most for part, most in zip(parts, (240, 300), strict=True)] == [True] * 2
    await page.context.close()
