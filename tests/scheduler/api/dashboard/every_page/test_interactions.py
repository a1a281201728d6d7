"""Tasks of people at a screen, with the interactions that they may take: by mouse, and by keys.

One interaction is a click, a key or a sequence such as `g i`, a text that is typed into a field (the click into it and
the Enter after it included).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, expect

from tests.scheduler.api.dashboard.every_page.states import open_used
from tests.scheduler.api.dashboard.site import Site

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

OVERVIEW = "/api/dashboard"
URL = "https://status.example/health"


class Person:
    """Acts on a page, and counts. `run_id`: of a run in a message."""

    def __init__(self, page: Page, run_id: str) -> None:
        self.page = page
        self.run_id = run_id
        self.count = 0

    async def click(self, *targets: Locator) -> None:
        for target in targets:
            self.count += 1
            await target.click()

    async def press(self, *sequences: str) -> None:
        for sequence in sequences:
            self.count += 1
            if sequence.startswith("g ") or sequence == "Enter":
                async with self.page.expect_navigation(wait_until="networkidle"):
                    await self._press(sequence)
            else:
                await self._press(sequence)

    async def _press(self, sequence: str) -> None:
        for key in sequence.split():
            await self.page.keyboard.press(key)

    async def fill(self, field: Locator, text: str, *, end: str = "") -> None:
        self.count += 1
        await field.click()
        await self.type(text, end=end, is_counted=False)

    async def type(self, text: str, *, end: str = "", is_counted: bool = True) -> None:
        """Into what has the focus. `end`: a key after it."""
        self.count += is_counted
        await self.page.keyboard.type(text)
        if end:
            await self.page.keyboard.press(end)

    def link(self, name: str) -> Locator:
        return self.page.get_by_role("link", name=name, exact=True).first

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True).first

    def summary(self, name: str) -> Locator:
        return self.page.locator("summary").get_by_text(name).first


async def find_a_run_by_mouse(person: Person) -> None:
    await person.fill(person.page.get_by_role("searchbox"), person.run_id, end="Enter")
    await expect(person.page.get_by_text(person.run_id).first).to_be_visible()


async def find_a_run_by_keys(person: Person) -> None:
    await person.press("/")
    await person.type(person.run_id, end="Enter")
    await expect(person.page.get_by_text(person.run_id).first).to_be_visible()


async def create_a_job(person: Person) -> None:
    await person.click(person.link("New job"))
    await person.fill(person.page.locator("[data-path=name]"), "status")
    await person.fill(person.page.locator("[data-path='check.url']"), URL)
    await person.click(person.button("Create"))
    await expect(person.page.locator("#headline")).to_contain_text("status")


async def acknowledge_by_mouse(person: Person) -> None:
    await person.click(person.button("Acknowledge"))
    await expect(person.page.locator(".toast").last).to_contain_text("cknowledged")


async def acknowledge_by_keys(person: Person) -> None:
    await person.press("g i", "j", "Enter", "a")
    await expect(person.page.locator("#handled")).to_contain_text("acknowledged by")


async def run_now_by_mouse(person: Person) -> None:
    await person.click(person.link("basket"), person.button("Run now"))
    await expect(person.page.locator(".toast").last).to_contain_text("basket")


async def run_now_by_keys(person: Person) -> None:
    await person.press("Control+k")
    await person.type("basket", end="Enter")
    await expect(person.page.locator("#headline")).to_contain_text("basket")
    await person.page.wait_for_load_state("networkidle")
    await person.press("r")
    await expect(person.page.locator(".toast").last).to_contain_text("basket")


async def pause_a_tag(person: Person) -> None:
    await person.fill(person.page.get_by_role("searchbox"), "team=operations", end="Enter")
    await expect(person.page.locator("table.jobs tbody tr")).to_have_count(1)
    await person.click(person.button("Select"), person.button("All on this page"), person.button("Pause…"))
    await person.click(person.page.get_by_role("dialog").get_by_role("button").filter(has_text="Pause").first)
    await expect(person.page.locator("#job-backup")).to_contain_text("paused")


async def see_next_runs_by_mouse(person: Person) -> None:
    await person.click(person.link("Schedule"))
    await expect(person.page.get_by_role("region", name="Next runs").get_by_text("checkout").first).to_be_visible()


async def see_next_runs_by_keys(person: Person) -> None:
    await person.press("g s")
    await expect(person.page.get_by_role("region", name="Next runs").get_by_text("checkout").first).to_be_visible()


async def edit_a_job(person: Person) -> None:
    await person.click(person.link("returns"), person.link("Edit"))
    await person.fill(person.page.locator("[data-path='check.url']"), "/v2")
    await person.click(person.button("Save"))
    await expect(person.page.locator("#headline")).to_contain_text("returns")


async def export_runs(person: Person) -> None:
    await person.click(person.link("Runs"))
    async with person.page.expect_download() as download:
        await person.click(person.link("CSV"))
    assert (await download.value).suggested_filename.endswith(".csv")


async def see_why_nothing_was_sent(person: Person) -> None:
    await person.click(person.link("checkout"), person.link("Alerts"))
    await expect(person.page.locator("main")).to_contain_text("Would it alert now?")


async def explain_a_circuit_by_mouse(person: Person) -> None:
    await person.click(person.summary("More"), person.link("Circuits"), person.link("gateway"))
    await expect(person.page.locator("main")).to_contain_text("consecutive")


async def explain_a_circuit_by_keys(person: Person) -> None:
    await person.press("g c", "j", "Enter")
    await expect(person.page.locator("main")).to_contain_text("consecutive")


TASKS: dict[str, tuple[int, Callable[[Person], Awaitable[None]]]] = {
    "find a run by its id, by mouse": (1, find_a_run_by_mouse),
    "find a run by its id, by keys": (2, find_a_run_by_keys),
    "create a job": (4, create_a_job),
    "acknowledge an incident, by mouse": (1, acknowledge_by_mouse),
    "acknowledge an incident, by keys": (4, acknowledge_by_keys),
    "run a job now, by mouse": (2, run_now_by_mouse),
    "run a job now, by keys": (3, run_now_by_keys),
    "pause the jobs of a tag": (5, pause_a_tag),
    "see the next runs, by mouse": (1, see_next_runs_by_mouse),
    "see the next runs, by keys": (1, see_next_runs_by_keys),
    "edit a job": (4, edit_a_job),
    "export runs": (2, export_runs),
    "see why nothing was sent": (2, see_why_nothing_was_sent),
    "explain a circuit, by mouse": (3, explain_a_circuit_by_mouse),
    "explain a circuit, by keys": (3, explain_a_circuit_by_keys),
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def used(shared_browser: Browser) -> AsyncIterator[tuple[Site, str]]:
    async with open_used(shared_browser) as (site, addresses):
        run_id = next(each for each in addresses if "/runs/" in each).rpartition("/")[2]
        yield site, run_id


@pytest.mark.parametrize("task", TASKS)
async def test_a_task_takes_no_more_interactions(used: tuple[Site, str], task: str) -> None:
    site, run_id = used
    most, perform = TASKS[task]
    page = await site.open(OVERVIEW, viewport={"width": 1280, "height": 800})
    await page.wait_for_load_state("networkidle")
    person = Person(page, run_id)

    await perform(person)

    assert person.count == most
    await page.context.close()
