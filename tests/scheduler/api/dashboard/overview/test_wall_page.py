"""GET /api/dashboard/wall: the state of all jobs for a big screen."""

from __future__ import annotations

import pytest

from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/wall"
ONCE = {"retry": {"attempts": 1}}


@virtual_time
async def test_what_is_broken_has_the_largest_tile_with_its_cause() -> None:
    jobs = [entry("api", **ONCE), entry("batch", **ONCE), entry("crawler", tags={"team": "search"})]  # type: ignore[arg-type]
    async with ApiClient(answer(), REFUSED, jobs=jobs) as client:
        await client.perform("api")
        await client.perform("batch")
        await client.shop.clock.sleep(60)
        page = await get_page(client, PATH)
        filtered = await get_page(client, f"{PATH}?tag=team%3Dsearch")

    text = visible_text(page)
    assert "1 of 3 jobs is down" in text
    assert "1 down 1 up 1 no run yet" in text
    assert "batch down 1 min checkout.internal:443 refused the connection." in text
    assert page.index('id="tile-batch"') < page.index('id="tile-api"')
    assert "icon-down.svg" in page
    assert 'id="tile-crawler"' in filtered
    assert 'id="tile-api"' not in filtered


@virtual_time
@pytest.mark.parametrize(("down", "size"), [(8, ""), (9, "some"), (25, "many")])
async def test_tiles_are_smaller_the_more_jobs_are_down(down: int, size: str) -> None:
    jobs = [entry(f"job-{number:02}", **ONCE) for number in range(down + 1)]  # type: ignore[arg-type]
    async with ApiClient(*[REFUSED] * down, jobs=jobs) as client:
        for number in range(down):
            await client.perform(f"job-{number:02}")
        page = await get_page(client, PATH)

    assert f'<ul class="large-tiles {size}">' in page
    assert page.count('<p class="why">') == down
    assert ('<ul class="small-tiles dense">' in page) is bool(size)


async def test_it_is_dark_unless_the_user_has_chosen_colours() -> None:
    async with ApiClient() as client:
        dark = await client.get(PATH)
        light = await client.request("GET", PATH, headers={"cookie": "scheduler_theme=light"})

    assert 'data-theme="dark"' in dark.text
    assert 'data-theme="light"' in light.text


async def test_it_has_no_controls_and_no_inline_code() -> None:
    async with ApiClient() as client:
        page = await get_page(client, PATH)

    assert not has_inline_code(page)
    assert not [name for name in ("<form", "<button", "<select", "<input") if name in page]
    assert "data-refresh" in page


async def test_of_very_many_jobs_the_worst_are_shown_and_the_others_are_counted() -> None:
    async with ApiClient(answer(500), jobs=[entry(f"job-{number:04}", **ONCE) for number in range(1500)]) as client:  # type: ignore[arg-type]
        await client.perform("job-1499")
        page = await get_page(client, PATH)

    assert page.count('id="tile-') == 1000
    assert page.index('id="tile-job-1499"') < page.index('id="tile-job-0000"')
    assert "and 500 more jobs" in visible_text(page)
    assert "1 of 1,500 jobs is down" in visible_text(page)


@virtual_time
async def test_while_the_store_is_unavailable_it_shows_what_was_known() -> None:
    async with ApiClient(REFUSED, jobs=[entry(**ONCE)]) as client:  # type: ignore[arg-type]
        await client.perform()
        await client.get(PATH)
        await client.shop.clock.sleep(10)
        client.break_store()
        sent = await client.get(PATH)

    assert sent.status_code == 503
    assert "The store is unavailable" in visible_text(sent.text)
    assert "Last known state, as of 12:00:00 (10 s ago): 1 of 1 job is down." in visible_text(sent.text)


async def test_an_unchanged_view_is_not_sent_again() -> None:
    async with ApiClient() as client:
        page = await client.get(PATH)
        again = await client.request("GET", PATH, headers={"if-none-match": page.headers["etag"]})

    assert again.status_code == 304
