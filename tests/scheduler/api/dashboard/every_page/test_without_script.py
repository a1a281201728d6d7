"""Every page without its script shows the facts that it shows with it."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page

from tests.scheduler.api.dashboard.every_page.states import open_used

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TIMES = re.compile(
    r"(?:in )?\d+ (?:d|h|min|s)(?: \d+ (?:h|min|s))?(?: ago)?|\bnow\b|\d\d:\d\d(?::\d\d)?(?:\.\d+)?|\d+(?:\.\d+)? m?s\b"
)
HIDE_CONTROLS = """document.querySelectorAll(
  "main :is(.only-script, label), main .editor-changes, main .editor-text > :is(p, ul)")
  .forEach((each) => { each.style.display = "none"; })"""
"""Controls need a script, and so does what an editor shows of the text that was typed."""


async def test_every_page_shows_the_same_facts_without_a_script(browser: Browser) -> None:
    faults: list[str] = []
    async with open_used(browser) as (site, addresses):
        scripted = await site.create_page()
        plain = await site.create_page(java_script_enabled=False)
        for address in addresses:
            await scripted.goto(site.url + address)
            await scripted.evaluate(HIDE_CONTROLS)
            await plain.goto(site.url + address)
            shown, without = await list_facts(scripted), await list_facts(plain)
            faults += [f"{address} shows only with a script: {fact}" for fact in sorted(shown - without)]
    assert not faults, "\n".join(faults)


async def list_facts(page: Page) -> set[str]:
    """The lines of the page, with one text for all times."""
    text = await page.locator("main").inner_text()
    return {" ".join(TIMES.sub("TIME", line).split()) for line in text.splitlines()}
