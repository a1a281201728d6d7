"""What a tab that is left open costs: a page is rendered once, and an unchanged one is not sent."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from scheduler.api.dashboard.rendering import page as page_rendering
from scheduler.api.dashboard.rendering import page_caches
from scheduler.features.overview.timelines import TimelineReader
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

PATH = "/api/dashboard"
ONCE = {"retry": {"attempts": 1}}


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of jobs of each read of histories."""
    found: list[int] = []
    read = TimelineReader.read

    async def count(self: TimelineReader, newest: Any, window: Any) -> Any:
        found.append(len(newest))
        return await read(self, newest, window)

    monkeypatch.setattr(TimelineReader, "read", count)
    return found


@virtual_time
async def test_an_unchanged_page_costs_neither_reads_nor_a_body(reads: list[int]) -> None:
    async with ApiClient(jobs=[entry(), entry("other")]) as client:
        await client.perform()
        page = await client.get(PATH)
        again = []
        for _ in range(3):
            await client.shop.clock.sleep(4)
            again.append(await client.request("GET", PATH, headers={"if-none-match": page.headers["etag"]}))

    assert [sent.status_code for sent in again] == [304] * 3
    assert sum(len(name) + len(value) + 4 for name, value in again[0].headers.raw) + len(again[0].content) < 1024
    assert reads == [2]


@virtual_time
async def test_a_new_run_and_a_new_state_are_sent(reads: list[int]) -> None:
    async with ApiClient(answer(), answer(), REFUSED, jobs=[entry(**ONCE)]) as client:  # type: ignore[arg-type]
        tags = []
        for number in range(3):
            await client.perform(seconds=number)
            tags.append((await client.get(PATH)).headers["etag"])

    assert len(set(tags)) == 3
    assert len(reads) == 3


@virtual_time
@pytest.mark.parametrize("path", [PATH, f"{PATH}/wall", f"{PATH}/jobs/checkout"])
async def test_a_job_that_goes_down_is_sent_at_once_however_long_rendering_takes(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = page_caches.SharedPages._store
    monkeypatch.setattr(
        page_caches.SharedPages, "_store", lambda pages, key, page: store(pages, key, replace(page, took=1.0))
    )
    monkeypatch.setattr(page_caches, "URGENT_CACHE_FACTOR", 0)
    async with ApiClient(answer(), answer(), REFUSED, jobs=[entry(**ONCE)]) as client:  # type: ignore[arg-type]
        await client.perform()
        before = await client.get(path)
        await client.perform(seconds=1)
        up = await client.request("GET", path, headers={"if-none-match": before.headers["etag"]})
        await client.perform(seconds=2)
        down = await client.request("GET", path, headers={"if-none-match": before.headers["etag"]})

    assert up.status_code == 304
    assert (down.status_code, "refused the connection" in down.text) == (200, True)


@virtual_time
@pytest.mark.parametrize("page", ["jobs/checkout", "jobs/checkout/plan", "schedule"])
async def test_tabs_share_a_page_for_a_few_seconds_and_get_304(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    renders: list[str] = []
    render = page_rendering.render_page
    monkeypatch.setattr(
        page_rendering,
        "render_page",
        lambda name, *args, **values: renders.append(name) or render(name, *args, **values),
    )
    async with ApiClient(jobs=[entry()]) as client:
        shown = await client.get(f"{PATH}/{page}")
        statuses = []
        for seconds in (0, 0, 1, 6):
            await client.shop.clock.sleep(seconds)
            headers = {"if-none-match": shown.headers["etag"]}
            statuses.append((await client.request("GET", f"{PATH}/{page}", headers=headers)).status_code)

    assert 'data-refresh="shared"' in shown.text
    assert statuses[:3] == [304] * 3
    assert len(renders) == 2


@virtual_time
async def test_a_response_that_is_no_page_is_not_shared() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        for _ in range(2):
            refused = await client.request("GET", f"{PATH}/jobs/checkout?period=never", headers={"accept": "text/html"})
            assert refused.status_code == 400
            assert "a month such as" in refused.text


@virtual_time
async def test_a_pause_is_sent_at_once() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        page = await client.get(PATH)
        await client.post_json("/api/jobs/checkout/pause", {"reason": "deployment"})
        headers = {"if-none-match": page.headers["etag"], "cache-control": "no-cache"}
        again = await client.request("GET", PATH, headers=headers)

    assert again.status_code == 200
    assert "deployment" in again.text


@virtual_time
async def test_pages_of_other_preferences_and_addresses_are_others(reads: list[int]) -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.get(PATH)
        dark = await client.request("GET", PATH, headers={"cookie": "scheduler_theme=dark"})
        filtered = await client.get(f"{PATH}?q=none")

    assert 'data-theme="dark"' in dark.text
    assert "No job matches" in filtered.text


async def test_a_poll_with_5000_jobs_takes_less_than_20_milliseconds() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:04}") for number in range(5000)]) as client:
        page = await client.get(PATH)
        headers = {"if-none-match": page.headers["etag"]}
        times = []
        for _ in range(8):
            began = time.perf_counter()
            again = await client.request("GET", PATH, headers=headers)
            times.append(time.perf_counter() - began)

    assert again.status_code == 304
    assert min(times) < 0.02
