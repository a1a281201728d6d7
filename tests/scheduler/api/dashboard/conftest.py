"""The browser that all tests of the dashboard share: each opens a context of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser

from tests.jobs.running.virtual_time import restart_clock
from tests.parts.chromium import open_chromium


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shared_browser() -> AsyncIterator[Browser]:
    async with open_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def browser(shared_browser: Browser) -> Browser:
    """Return the browser, at the start of the test's time."""
    restart_clock()
    return shared_browser
