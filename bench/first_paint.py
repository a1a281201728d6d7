"""When the overview of 5,000 jobs and 10 million runs is first painted: ./dev bench first_paint.

The program runs in a separate process on the store of the bench dashboard. Chromium opens the page at once when the
program is ready, and seconds later. It exits with 1 if a first contentful paint takes a second.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from playwright.async_api import Browser

from bench._parts import finish, program, show, target
from bench.dashboard import PATH, define_jobs, fill_store, list_names
from tests.parts.chromium import open_chromium

BOUND_MS = 1000.0
NEVER_DUE = "0 0 0 1 1 *"
SCREEN = {"width": 1440, "height": 900}
PAINT = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
SETTLED_MS = 400


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=5000)
    options.add_argument("--hours", type=int, default=34, help="for which runs are counted, a run a minute of each job")
    options.add_argument("--starts", type=int, default=3, help="of the program")
    chosen = options.parse_args()
    names = list_names(chosen.jobs)
    first, later = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as folder, target() as url:
        counted, _ = asyncio.run(fill_store(Path(folder) / "bench.db", names, chosen.hours, 20))
        print(f"{counted:,} runs of {chosen.jobs:,} jobs are counted")
        for _ in range(chosen.starts):
            with program(Path(folder), define_jobs(names, url, NEVER_DUE)) as (_process, address):
                at_once, seconds_later = asyncio.run(_measure(address))
            first.append(at_once)
            later.append(seconds_later)
    rows = [("at once", min(first), max(first)), ("seconds later", min(later), max(later))]
    show(("milliseconds until the first paint", "min", "max"), rows)
    finish(first_paint_ms=max(first), later_paint_ms=max(later))
    return 0 if max(*first, *later) < BOUND_MS else 1


async def _measure(address: str) -> tuple[float, float]:
    async with open_chromium() as browser:
        at_once = await _paint(browser, address)
        await asyncio.sleep(3)
        return at_once, await _paint(browser, address)


async def _paint(browser: Browser, address: str) -> float:
    page = await browser.new_page(viewport=SCREEN)  # type: ignore[arg-type]
    await page.goto(address + PATH)
    await page.wait_for_timeout(SETTLED_MS)
    found: float = await page.evaluate(PAINT)
    await page.close()
    return found


if __name__ == "__main__":
    sys.exit(main())
