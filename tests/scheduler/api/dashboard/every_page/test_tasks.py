"""Ten tasks of an on-call engineer, listed in docs/dashboard.md, by keyboard alone and by touch on a phone.

Each takes at most three interactions: a key or a sequence such as `g i`, a text that is typed, a tap.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.scheduler.api.dashboard.every_page.states import open_used
from tests.scheduler.api.dashboard.every_page.world import INCIDENT_ID
from tests.scheduler.api.dashboard.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MAX_INTERACTIONS = 3
HANDS: dict[str, dict[str, Any]] = {
    "keyboard": {"viewport": {"width": 1280, "height": 800}},
    "touch": {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
}


class Hand:
    """Presses, types and taps, and counts."""

    def __init__(self, page: Page, name: str) -> None:
        self.page = page
        self.is_touch = name == "touch"
        self.count = 0

    async def press(self, *sequences: str) -> None:
        """`g i` is one sequence."""
        for sequence in sequences:
            self.count += 1
            if sequence.startswith("g "):
                async with self.page.expect_navigation():
                    await self._press(sequence)
            else:
                await self._press(sequence)

    async def _press(self, sequence: str) -> None:
        for key in sequence.split():
            await self.page.keyboard.press(key)

    async def type(self, text: str) -> None:
        """Into what has the focus."""
        self.count += 1
        await self.page.keyboard.type(text)

    async def tap(self, *targets: Locator) -> None:
        for target in targets:
            self.count += 1
            await target.tap()

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True).first

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True).first

    def menu(self, name: str) -> Locator:
        return self.page.locator("summary").get_by_text(name, exact=True).first

    def headline(self) -> Locator:
        return self.page.locator("#headline")

    async def expect_message(self, text: str) -> None:
        await expect(self.page.locator(".toast").last).to_contain_text(text)


async def find_what_is_down(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.page.locator("#job-checkout").get_by_role("link").first)
    else:
        await hand.press("j", "j", "Enter")
    await expect(hand.headline()).to_contain_text("checkout is down since")
    await expect(hand.page.locator("#reason")).to_contain_text("connection pool exhausted")


async def acknowledge(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.button("Acknowledge"))
    else:
        await hand.press("a")
    await expect(hand.page.locator("#handled")).to_contain_text("acknowledged by")


async def snooze(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.menu("Snooze"), hand.button("1 hour"))
    else:
        await hand.press("s", "Enter")
    await expect(hand.page.locator("#handled")).to_contain_text("snoozed by")


async def see_whether_a_job_is_up(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.link("basket"))
    else:
        await hand.press("Control+k")
        await hand.type("basket")
        await hand.page.get_by_role("option", name="basket job").wait_for()
        await hand.press("Enter")
    await expect(hand.headline()).to_contain_text("basket is")


async def run_now(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.button("Run now"))
    else:
        await hand.press("r")
    await hand.expect_message("basket failed after")


async def pause_with_a_reason(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.menu("Pause"))
        await expect(hand.page.get_by_label("Reason")).to_be_focused()
        await hand.type("database migration")
        await hand.tap(hand.button("Pause"))
    else:
        await hand.press("p")
        await hand.type("database migration")
        await hand.press("Enter")
    await expect(hand.page.locator("#pause")).to_contain_text("database migration")


async def silence_a_tag(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.menu("Silence"), hand.page.get_by_label("2 h"), hand.button("all with team=payments"))
    else:
        await hand.press("m", "Tab", "Enter")
    await hand.expect_message(f"Silenced all with team=payments for {'2 h' if hand.is_touch else '1 h'}.")


async def replay_a_dead_letter(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(
            hand.menu("More"), hand.link("Dead letters"), hand.page.get_by_role("button", name="Replay").first
        )
    else:
        await hand.press("g l", "j", "p")
    await hand.expect_message("eplay")


async def find_who_changed_a_job(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.menu("More"), hand.link("Audit"))
    else:
        await hand.press("g u")
    entry = hand.page.get_by_role("row").filter(has_text="job search was paused")
    await expect(entry).to_contain_text("local:loopback")


async def see_when_a_job_runs_next(hand: Hand) -> None:
    if hand.is_touch:
        await hand.tap(hand.link("Schedule"))
    else:
        await hand.press("g s")
    await expect(hand.page.get_by_role("region", name="Next runs").get_by_text("checkout").first).to_be_visible()


INCIDENT, JOB = f"/api/dashboard/incidents/{INCIDENT_ID}", "/api/dashboard/jobs/basket"
TASKS: dict[str, tuple[str, Callable[[Hand], Awaitable[None]]]] = {
    "Find what is down, since when and why": ("/api/dashboard", find_what_is_down),
    "Acknowledge the incident of a message's link": (INCIDENT, acknowledge),
    "Snooze the incident for an hour": (INCIDENT, snooze),
    "See whether a job has recovered": ("/api/dashboard", see_whether_a_job_is_up),
    "Run a job now": (JOB, run_now),
    "Pause a job with a reason": (JOB, pause_with_a_reason),
    "Silence a tag for an hour": (INCIDENT, silence_a_tag),
    "Replay a dead letter": ("/api/dashboard", replay_a_dead_letter),
    "Find who changed a job": ("/api/dashboard", find_who_changed_a_job),
    "See when a job runs next": ("/api/dashboard", see_when_a_job_runs_next),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=list(HANDS))
async def hands(request: pytest.FixtureRequest, shared_browser: Browser) -> AsyncIterator[tuple[str, Site]]:
    async with open_used(shared_browser) as (site, _):
        yield request.param, site


@pytest.mark.parametrize("task", list(TASKS))
async def test_a_task_takes_three_interactions(hands: tuple[str, Site], task: str) -> None:
    name, site = hands
    start, perform = TASKS[task]
    page = await site.open(start, **HANDS[name])
    hand = Hand(page, name)

    await perform(hand)

    assert hand.count <= MAX_INTERACTIONS
    await page.context.close()
