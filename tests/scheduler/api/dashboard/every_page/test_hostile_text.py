"""Hostile texts in every field that a person, a target or a sender controls, on every page in Chromium.

Each page shows them as text: no element, attribute or script comes from them, no dialog opens, the browser reports no
violation of the policy, and nothing is wider than the screen.
"""

from __future__ import annotations

import re

import pytest
from playwright.async_api import Browser, Page

from tests.scheduler.api.dashboard.every_page.states import open_used
from tests.scheduler.api.dashboard.every_page.world import Texts

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

MARKUP = (
    "<script class=evil>evil()</script><img class=evil src=x onerror=evil()><svg class=evil onload=evil()>"
    "\"><a class=evil href='javascript:evil()' onmouseover='evil()'>' --><style>*{display:none}</style>"
    "</title></textarea></time>{{7*7}}${7*7}{% endraw %}&lt;b&gt; null undefined NaN [object Object]"
)
LONG = "W" * 90 + "\U0001f525" * 30
CONTROLS = "\u202egnp.exe\u2066\x1b[31m\x00\x9b\u2028\u0591"
RAW = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
SHOWN = re.compile(r"the (\w+) says (<script class=evil>.*?\[object Object\])", re.DOTALL)
AUTHORS = ("definition", "person", "target", "sender")

HOSTILE = Texts(
    name="constructor",
    stored_name="x" * 100,
    defined=f"the definition says {MARKUP} {LONG}",
    person=f"the person says {MARKUP} {LONG[:40]}",
    target=f"the target says {MARKUP} {CONTROLS} {LONG}",
    sender=f"the sender says {MARKUP} {CONTROLS} {LONG}",
    cause=f"the target says {MARKUP} {CONTROLS} {LONG}",
    url=f"http://evil.example/{'a' * 200}?q='\"onclick=evil()&lt;%3Cscript%3E{{{{7*7}}}}",
)

WATCH = """
window.reports = [];
window.evil = () => reports.push("a script ran");
document.addEventListener("securitypolicyviolation", (event) =>
  reports.push(`${event.violatedDirective}: ${event.blockedURI} ${event.sample}`));
"""
FOREIGN = """() => [...document.querySelectorAll(
  ".evil, [onerror], [onload], [onmouseover], [onclick], [href^='javascript:' i], main style")]
  .map((one) => `it has the element ${one.outerHTML}`)"""
WIDEST = """width => document.documentElement.scrollWidth <= width ? [] : [...document.querySelectorAll("main *")]
  .filter((one) => one.getBoundingClientRect().right > width && !one.closest(".scrolled, pre"))
  .slice(0, 3).map((one) => `it is wider than the screen: ${one.outerHTML.slice(0, 150)}`)"""
WIDTH = 360


async def test_every_page_shows_hostile_texts_as_text(browser: Browser) -> None:
    shown: set[tuple[str, str]] = set()
    faults: list[str] = []
    async with open_used(browser, HOSTILE) as (site, addresses):
        page = await site.create_page(viewport={"width": WIDTH, "height": 800})
        page.on("dialog", lambda dialog: faults.append(f"a dialog: {dialog.message}"))
        await page.add_init_script(WATCH)
        for address in addresses:
            await page.goto(site.url + address)
            await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
            faults += [f"{address}: {fault}" for fault in await find_faults(page)]
            shown |= set(SHOWN.findall(await page.locator("main").inner_text()))
        await page.goto(site.url + "/api/dashboard")
        faults += [f"tools: {fault}" for fault in await find_faults_of_tools(page)]
    assert not faults, "\n".join(faults)
    assert {(author, MARKUP) for author in AUTHORS} <= shown


async def find_faults_of_tools(page: Page) -> list[str]:
    """Open the list of keys, and the palette with the name of a job."""
    await page.keyboard.press("?")
    faults = await find_faults(page)
    await page.keyboard.press("Escape")
    await page.keyboard.press("Control+K")
    await page.keyboard.type("xxx")
    await page.get_by_role("option", name="xxxx").wait_for()
    return faults + await find_faults(page)


async def find_faults(page: Page) -> list[str]:
    faults = [*await page.evaluate(FOREIGN), *await page.evaluate("reports"), *await page.evaluate(WIDEST, WIDTH)]
    text = await page.locator("body").inner_text()
    if RAW.search(text):
        faults.append("it shows a control character")
    if "{{49" in text or "${49" in text:
        faults.append("it evaluates a template")
    return faults
