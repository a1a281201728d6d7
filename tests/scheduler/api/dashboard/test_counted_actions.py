"""Tasks of people, counted in Chromium by mouse and by keys: each click, key or typed text is one interaction."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.site import Site, open_site
from tests.scheduler.fakes import entry

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

JOBS = [entry("checkout", tags={"team": "payments"}), entry("shop", tags={"team": "shop"})]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(shared_browser: Browser) -> AsyncIterator[Site]:
    async with open_site(shared_browser, ApiClient(jobs=JOBS)) as opened:
        yield opened


async def click_each(*targets: Locator) -> int:
    for target in targets:
        await target.click()
    return len(targets)


async def press_each(page: Page, *keys: str) -> int:
    for key in keys:
        await page.keyboard.press(key)
    return len(keys)


def toast(page: Page) -> Locator:
    return page.locator(".toast").last


async def latest(site: Site, kind: str) -> dict[str, object]:
    found: list[dict[str, object]] = (await site.desk.get(f"/api/{kind}")).json()[kind]
    return found[-1]


@pytest.mark.parametrize("hand", ["mouse", "keys"])
async def test_a_tag_is_silenced_for_two_hours_in_three_interactions(site: Site, hand: str) -> None:
    page = await site.open("/api/dashboard?tag=team%3Dpayments")
    if hand == "mouse":
        button = page.get_by_role("button", name="all with team=payments")
        count = await click_each(page.locator("#silence > summary"), page.get_by_label("2 h"), button)
    else:
        count = await press_each(page, "s", "2", "Enter")

    await expect(toast(page)).to_contain_text("Silenced all with team=payments for 2 h.")
    assert count <= 3
    assert (await latest(site, "silences"))["title"] == "silence of team=payments"


async def test_a_silence_until_nine_ends_at_the_next_nine_of_the_chosen_zone(site: Site) -> None:
    page = await site.open("/api/dashboard/preferences?zone=Asia/Kolkata&next=/api/dashboard/jobs/checkout")
    await page.locator("#silence > summary").click()
    await page.get_by_label(re.compile("until .* 09:00")).click()
    await page.get_by_role("button", name="checkout", exact=True).click()

    await expect(toast(page)).to_contain_text(re.compile("Silenced checkout until .* 09:00"))
    assert str((await latest(site, "silences"))["ends_at"]).endswith("T03:30:00Z")


async def test_another_time_is_typed(site: Site) -> None:
    page = await site.open("/api/dashboard/jobs/checkout")
    await page.locator("#silence > summary").click()
    await page.get_by_label("Another time").fill("3h")
    await page.get_by_role("button", name="checkout", exact=True).click()

    await expect(toast(page)).to_contain_text("Silenced checkout for 3h.")


@pytest.mark.parametrize("hand", ["mouse", "keys"])
async def test_a_window_on_sunday_night_takes_five_interactions(site: Site, hand: str) -> None:
    page = await site.open("/api/dashboard")
    everything, plan = page.get_by_label("everything"), page.get_by_role("button", name="Plan", exact=True)
    if hand == "mouse":
        header = page.locator(".site-navigation")
        count = await click_each(header.get_by_text("More"), header.get_by_role("link", name="Maintenance"))
        count += await click_each(page.get_by_text("Every week"), everything, plan)
    else:
        key = await page.locator("a", has_text="Maintenance").first.get_attribute("data-page-key")
        async with page.expect_navigation():
            await page.keyboard.press("g")
            await page.keyboard.press(str(key))
        count = 1 + await press_each(page, "r")
        await everything.press("Space")
        await page.keyboard.press("Enter")
        count += 2  # without the way to the box by Tab

    await expect(toast(page)).to_contain_text("Planned the window")
    assert count <= 5
    definition = (await latest(site, "windows"))["definition"]
    assert isinstance(definition, dict)
    assert definition["weekly"] == {"days": ["SUN"], "from": "02:00", "to": "05:00"}


async def test_a_run_is_requested_by_one_key_and_its_result_is_shown(site: Site) -> None:
    page = await site.open("/api/dashboard/jobs/checkout")
    await page.keyboard.press("r")

    await expect(toast(page).get_by_role("link", name="Open")).to_be_visible()


async def test_after_the_end_of_a_session_what_was_typed_stays_and_sign_in_is_offered(site: Site) -> None:
    page = await site.open("/api/dashboard/maintenance")
    await page.get_by_text("Silence now").click()
    await page.get_by_label("Tags").fill("team=payments")
    await page.route(
        "**/api/silences", lambda route: route.fulfill(status=401, json={"detail": "Send `Authorization`"})
    )
    await page.get_by_role("button", name="Silence", exact=True).click()

    link = toast(page).get_by_role("link", name="Sign in")
    assert (await link.get_attribute("target"), await link.get_attribute("href")) == (
        "_blank",
        "/api/dashboard/sign-in?next=%2Fapi%2Fdashboard%2Fmaintenance",
    )
    await expect(toast(page)).not_to_contain_text("Authorization")
    await expect(page.get_by_label("Tags")).to_have_value("team=payments")
    await page.unroute("**/api/silences")
    await page.get_by_role("button", name="Try again").click()
    await expect(toast(page)).to_contain_text("Silenced.")
    site.complaints.clear()


async def test_the_zone_of_the_browser_is_offered_once(site: Site) -> None:
    page = await site.open("/api/dashboard", timezone_id="Asia/Kolkata")
    offer = page.get_by_role("link", name="Use Asia/Kolkata")
    assert await page.locator("#zones option").first.get_attribute("value") == "Asia/Kolkata"
    await offer.click()
    await expect(page.locator("#page-time")).to_contain_text("Asia/Kolkata")
    await page.reload()
    await expect(page.locator("#page-time")).to_contain_text("Asia/Kolkata")
    await expect(offer).to_have_count(0)


async def test_a_saved_version_is_named_and_undone(site: Site) -> None:
    page = await site.open("/api/dashboard/new-job?url=http%3A%2F%2Flocalhost%2F")
    await page.locator("#field-name").fill("fresh")
    await page.locator("#editor-save").click()
    await expect(toast(page)).to_contain_text("Created fresh.")
    await page.goto(f"{site.url}/api/dashboard/jobs/fresh/edit")
    await page.get_by_label("Description").fill("changed")
    await page.locator("#editor-save").click()
    await expect(toast(page)).to_contain_text("Saved as version 2. Versions")
    await toast(page).get_by_role("button", name="Undo").click()
    await expect(toast(page)).to_contain_text("Undone.")

    job = (await site.desk.get("/api/jobs/fresh")).json()
    assert (job["version"], job["declared"].get("description", "")) == (3, "")
