"""The dashboard of an ApiClient, served by uvicorn on loopback, and pages in Chromium that look at it.

    async with open_site(browser, ApiClient(jobs=[entry()])) as site:
        page = await site.open("/api/dashboard")

What the browser complains of, and a request that leaves the site, fails the test.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import uvicorn
from playwright.async_api import Browser, Page

from tests.scheduler.api.api_client import ApiClient


class Site:
    """`asked`: the addresses of all requests."""

    def __init__(self, desk: ApiClient, browser: Browser) -> None:
        self.desk = desk
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self._browser = browser
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    async def start(self) -> None:
        config = uvicorn.Config(self.desk.app, log_config=None, lifespan="off", server_header=False)
        self._server = uvicorn.Server(config)
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._listener]))

    async def stop(self) -> None:
        self._server.should_exit = self._server.force_exit = True
        await self._serving

    async def open(self, path: str = "/api/dashboard", **options: Any) -> Page:
        page = await self.create_page(**options)
        await page.goto(self.url + path)
        return page

    async def create_page(self, **options: Any) -> Page:
        """Return an empty page. `options`: of its browser context."""
        page = await self._browser.new_page(**options)
        page.on("console", lambda message: self.complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))
        return page


@asynccontextmanager
async def open_site(browser: Browser, desk: ApiClient) -> AsyncIterator[Site]:
    async with desk:
        site = Site(desk, browser)
        await site.start()
        try:
            yield site
        finally:
            for context in browser.contexts:
                await context.close()
            await site.stop()
    assert site.complaints == []
    assert [url for url in site.asked if not url.startswith(site.url)] == []
