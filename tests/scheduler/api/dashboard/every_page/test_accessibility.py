"""Every page in Chromium: no violation of WCAG 2.2 AA by axe-core, nothing wider than the screen, no small control.

The suite tests each page with data in both themes at three widths, with all rules at two of these and those that depend
on colours or widths at the others, and the other states at one width. TEST_AXE=all tests all rules in every state,
theme and width, and with 5,000 jobs.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

import pytest
from playwright.async_api import Browser, Page

from tests.parts.axe import find_violations
from tests.scheduler.api.dashboard.every_page.states import STATES

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WHOLE = os.environ.get("TEST_AXE") == "all"
WIDTHS, THEMES = (360, 768, 1440), ("light", "dark")
PHONES = (320, 390)
"""Widths at which only the layout is tested."""
OF_COLOURS, OF_WIDTHS = ("color-contrast", "link-in-text-block"), ("target-size", "scrollable-region-focusable")
MIN_TARGET = 24


class Look(NamedTuple):
    """`rules`: empty for all."""

    width: int
    theme: str
    rules: Sequence[str] = ()


EVERY_LOOK = [Look(width, theme) for width in WIDTHS for theme in THEMES]
SAMPLED = [
    Look(1440, "light"),
    Look(1440, "dark", OF_COLOURS),
    Look(768, "dark", OF_WIDTHS),
    Look(360, "light", OF_WIDTHS),
    Look(360, "dark"),
]
ONE_LOOK = {
    "empty": [Look(360, "light")],
    "never run": [Look(360, "dark")],
    "store away": [Look(768, "dark")],
    "viewer": [Look(1440, "light")],
    "storm": [Look(1440, "light")],
}

REFERENCE, REFERENCE_LOOKS = "/api/docs", [Look(360, "dark"), Look(1440, "light", OF_WIDTHS)]
"""axe takes seconds for the reference of the API, which is the same in every state."""

SMALL_CONTROLS = """minimum => [...document.querySelectorAll(
  "button, input:not([type=hidden]), select, textarea, summary, [role=button], [role=option], [role=tab]")]
  .filter((one) => one.checkVisibility({ visibilityProperty: true, opacityProperty: true }))
  .map((one) => [one, one.getBoundingClientRect()])
  .filter(([one, box]) => box.width && Math.min(box.width, box.height) < minimum
    && ![...(one.labels ?? [])].some((label) => label.getBoundingClientRect().height >= minimum))
  .map(([one, box]) => `${Math.round(box.width)} x ${Math.round(box.height)}: ${one.outerHTML.slice(0, 120)}`)"""

OFF_SCREEN = """() => [...document.querySelectorAll("main *, #toasts")]
  .filter((one) => getComputedStyle(one).position === "fixed" && one.checkVisibility())
  .map((one) => [one, one.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.left < 0 || box.right > innerWidth || box.bottom > innerHeight))
  .map(([one]) => one.outerHTML.slice(0, 120))"""


@pytest.mark.parametrize("state", [state for state in STATES if WHOLE or state != "5,000 jobs"])
async def test_no_page_violates_wcag(browser: Browser, state: str) -> None:
    looks = EVERY_LOOK if WHOLE else ONE_LOOK.get(state, SAMPLED)
    found: list[str] = []
    async with STATES[state](browser) as (site, addresses):
        page = await site.create_page(bypass_csp=True)
        for address in addresses:
            if address != REFERENCE or WHOLE:
                found += await find_faults(page, site.url, address, looks)
            elif state == "in use":
                found += await find_faults(page, site.url, address, REFERENCE_LOOKS)
    assert not found, "\n".join(found)


async def test_no_menu_and_no_dialog_violates_wcag(browser: Browser) -> None:
    found: list[str] = []
    async with STATES["in use"](browser) as (site, _):
        page = await site.open("/api/dashboard/jobs/checkout", bypass_csp=True, viewport={"width": 360, "height": 740})
        await page.keyboard.press("?")
        found += await find_violations(page)
        await page.keyboard.press("Escape")
        await page.keyboard.press("Control+k")
        await page.keyboard.type("gate")
        await page.get_by_role("option", name="gateway").wait_for()
        found += await find_violations(page)
        await page.keyboard.press("Escape")
        await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
        found += await find_violations(page)
        await page.reload()
        await page.keyboard.press("r")
        await page.locator(".toast").wait_for()
        found += await find_violations(page)
    assert not found, "\n".join(found)


async def find_faults(page: Page, base: str, address: str, looks: Sequence[Look]) -> list[str]:
    """Return a line for each rule that the page violates in a look, with an example."""
    await page.goto(base + address)
    found: list[str] = []
    for width, theme, rules in looks:
        await page.set_viewport_size({"width": width, "height": 900})
        await page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]
        faults = [*await find_violations(page, rules), *await find_layout_faults(page, width)]
        for _, examples in groupby(faults, key=lambda fault: fault.partition(":")[0]):
            first, *others = examples
            found.append(f"{address} at {width}, {theme}: {first}" + (f" and {len(others)} more" if others else ""))
    for width in PHONES:
        await page.set_viewport_size({"width": width, "height": 844})
        found += [f"{address} at {width}: {fault}" for fault in await find_layout_faults(page, width)]
    return found


async def find_layout_faults(page: Page, width: int) -> list[str]:
    scrolled = await page.evaluate("document.documentElement.scrollWidth")
    faults = [f"the page is {scrolled} px wide"] if scrolled > width else []
    faults += [f"off the screen: {each}" for each in await page.evaluate(OFF_SCREEN)]
    small: list[str] = await page.evaluate(SMALL_CONTROLS, MIN_TARGET)
    return faults + [f"a control is less than {MIN_TARGET} px: {each}" for each in small]
