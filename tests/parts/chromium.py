"""Debian's Chromium, driven by Playwright: nothing leaves this machine.

    async with open_chromium() as browser: ...

Without Chromium the tests are skipped, see tests.parts.
"""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from playwright.async_api import Browser, async_playwright, expect

from tests.parts import missing

QUIET = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run")


def find_chromium() -> str | None:
    """Return the path of the program."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@asynccontextmanager
async def open_chromium() -> AsyncIterator[Browser]:
    path = find_chromium() or missing("there is no Chromium: apt-get install chromium")
    expect.set_options(timeout=20_000)  # several of the page's own refreshes
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, chromium_sandbox=False, args=QUIET)
        yield browser
        await browser.close()
