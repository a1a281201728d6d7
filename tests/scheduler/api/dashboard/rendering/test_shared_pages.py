"""Pages that the tabs of a caller share: when they are rendered again."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from scheduler.api.dashboard.rendering.page_caches import (
    CACHE_FACTOR,
    MAX_SHARED_PAGES,
    URGENT_CACHE_FACTOR,
    PageRevision,
    SharedPage,
    SharedPages,
)
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.fakes import LoopClock

NOW = datetime(2026, 11, 28, 12, 0, 5, tzinfo=UTC)
HTML = '<p>before</p><time id="page-time" datetime="x">12:00:00 UTC</time><p>after ' + "x" * 5000 + "</p>"


class Renders:
    """Renders in so many seconds, and counts."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.clock = LoopClock()
        self.pages = SharedPages(self.clock)
        self.count = 0
        self.seconds = seconds

    def render(self) -> Callable[[], Awaitable[SharedPage]]:
        async def create() -> SharedPage:
            self.count += 1
            number = self.count
            await self.clock.sleep(self.seconds)
            return SharedPage.create(HTML, str(number))

        return create

    async def get(self, facts: object, *, is_forced: bool = False, key: object = "key", urgent: object = None) -> str:
        page = await self.pages.get(key, PageRevision(facts, is_forced, urgent), self.render())
        return page.etag


def test_the_time_of_the_page_is_that_of_the_response() -> None:
    page = SharedPage.create(HTML, "etag")
    body = page.body_at(NOW, "Europe/Berlin")
    assert gzip.decompress(page.gzip_at(NOW, "Europe/Berlin")) == body
    assert (
        b'<p>before</p><time id="page-time" datetime="2026-11-28T12:00:05+00:00">12:00:05 Europe/Berlin</time>' in body
    )
    assert len(page.gzip_at(NOW, "UTC")) < 300


@virtual_time
async def test_a_page_of_the_same_facts_is_shared_for_some_time() -> None:
    renders = Renders()
    assert [await renders.get(1), await renders.get(1)] == ["1", "1"]
    await renders.clock.sleep(14)
    assert await renders.get(1) == "1"
    await renders.clock.sleep(2)
    assert await renders.get(1) == "2"


@virtual_time
@pytest.mark.parametrize(("urgent", "factor"), [(None, CACHE_FACTOR), ("payments", URGENT_CACHE_FACTOR)])
async def test_other_facts_appear_once_rendering_may_cost_it(urgent: object, factor: int) -> None:
    renders = Renders(seconds=0.05)
    assert await renders.get(1) == "1"
    assert await renders.get(2, urgent=urgent) == "1"
    await renders.clock.sleep(0.05 * factor - 0.05)
    assert await renders.get(2, urgent=urgent) == "1"
    await renders.clock.sleep(0.1)
    assert await renders.get(2, urgent=urgent) == "2"
    assert await renders.get(2, urgent=urgent) == "2"


@virtual_time
async def test_who_has_changed_something_sees_it_at_once() -> None:
    renders = Renders(seconds=0.1)
    await renders.get(1)
    assert await renders.get(2, is_forced=True) == "2"
    assert await renders.get(2) == "2"


@virtual_time
async def test_who_reloads_the_page_gets_what_no_fact_tells() -> None:
    renders = Renders(seconds=0.1)
    await renders.get(1)
    assert await renders.get(1, is_forced=True) == "2"


@virtual_time
async def test_tabs_that_ask_at_the_same_time_share_a_rendering() -> None:
    renders = Renders(seconds=0.1)
    assert await asyncio.gather(*(renders.get(1) for _ in range(20))) == ["1"] * 20


@virtual_time
async def test_a_rendering_that_began_before_the_change_is_not_sent_to_who_made_it() -> None:
    renders = Renders(seconds=0.1)
    before = asyncio.ensure_future(renders.get(1))
    await renders.clock.sleep(0.05)
    assert await renders.get(2, is_forced=True) == "2"
    assert await before == "1"


@virtual_time
async def test_few_pages_are_cached() -> None:
    renders = Renders()
    for number in range(MAX_SHARED_PAGES + 1):
        await renders.get(1, key=number)
    assert await renders.get(1, key=MAX_SHARED_PAGES) == str(MAX_SHARED_PAGES + 1)
    assert await renders.get(1, key=0) == str(MAX_SHARED_PAGES + 2)


@virtual_time
async def test_a_page_that_is_not_valid_any_more_takes_no_memory() -> None:
    renders = Renders()
    await renders.get(1)
    assert renders.pages.count == 1
    await renders.clock.sleep(16)
    assert renders.pages.count == 0


@virtual_time
async def test_a_failure_is_raised_and_not_cached() -> None:
    renders = Renders()

    async def fail() -> SharedPage:
        raise OSError("the store is away")

    with pytest.raises(OSError, match="away"):
        await renders.pages.get("key", PageRevision(1), fail)
    assert await renders.get(1) == "1"
