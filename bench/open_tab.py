"""Memory of the overview that is left open: ./dev bench open_tab [--polls N].

Chromium refreshes the page so many times, as it would every five seconds; 2,000 are almost three hours. Facts change
meanwhile. The heap and the DOM nodes are counted after a garbage collection. It exits with 1 if the heap has grown by
5 MiB, or the nodes by a tenth.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time

from playwright.async_api import CDPSession, Page

from bench._dashboard_site import run_movable, serve_dashboard
from bench._parts import finish, show
from tests.parts.chromium import open_chromium

MAX_HEAP_GROWTH_MIB, MAX_NODE_GROWTH = 5.0, 0.1
CHANGES_EVERY = 10
SHOWN_EVERY = 250
_WARM_UP = 250
"""Polls before the first count: the browser retains the page that was parsed last."""
_REFRESH = "document.dispatchEvent(new Event('visibilitychange'))"


async def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--polls", type=int, default=2000)
    polls = options.parse_args().polls
    async with serve_dashboard() as (url, addresses), open_chromium() as browser:
        page = await browser.new_page()
        await page.goto(f"{url}/api/dashboard")
        session = await page.context.new_cdp_session(page)
        job = url + addresses["/api/dashboard/jobs/{name}"].replace("/api/dashboard", "/api")
        statuses: list[int] = []
        page.on("response", lambda response: statuses.append(response.status))
        await _poll(page, job, _WARM_UP)
        rows = [[0, *await _count(session)]]
        began = time.perf_counter()
        for done in range(SHOWN_EVERY, polls + 1, SHOWN_EVERY):
            await _poll(page, job, SHOWN_EVERY)
            rows.append([done, *await _count(session)])
        spent = time.perf_counter() - began
    show(["polls", "heap MiB", "DOM nodes"], rows)
    (_, heap, nodes), (_, last_heap, last_nodes) = rows[0], rows[-1]
    unchanged = statuses.count(304) / max(1, len(statuses))
    finish(heap_growth_mib=last_heap - heap, node_growth=last_nodes / nodes - 1, unchanged=unchanged, seconds=spent)
    return int(last_heap - heap > MAX_HEAP_GROWTH_MIB or last_nodes / nodes - 1 > MAX_NODE_GROWTH)


async def _poll(page: Page, job: str, count: int) -> None:
    """Refresh the page. A pause of a job, and its end, change the facts."""
    for number in range(count):
        if number % CHANGES_EVERY == 0:
            action = "pause" if number // CHANGES_EVERY % 2 == 0 else "resume"
            await page.request.post(f"{job}/{action}", data={} if action == "pause" else None)
        async with page.expect_response(lambda response: response.url.endswith("/api/dashboard")):
            await page.evaluate(_REFRESH)


async def _count(session: CDPSession) -> tuple[float, float]:
    """Return the MiB of the heap and the number of DOM nodes that are in use."""
    await session.send("HeapProfiler.collectGarbage")
    await asyncio.sleep(0.1)
    found = await session.send("Memory.getDOMCounters")
    heap = await session.send("Runtime.getHeapUsage")
    return heap["usedSize"] / 2**20, float(found["nodes"])


if __name__ == "__main__":
    sys.exit(run_movable(main))
