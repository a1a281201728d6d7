"""GET /api/dashboard/runs, as the server sends it."""

from __future__ import annotations

import re

from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of, ticket

PATH = "/api/dashboard/runs"
ONCE = {"retry": {"attempts": 1}}


def listed(page: str) -> list[str]:
    return re.findall(r'<tr id="run-([^"]+)"', page)


@virtual_time
async def test_the_newest_run_of_all_jobs_is_first() -> None:
    async with ApiClient(answer(), REFUSED, jobs=[entry(), entry("other", **ONCE)]) as client:
        first = await client.perform(seconds=-5)
        second = await client.perform("other")
        page = await get_page(client, PATH)

    assert listed(page) == [second, first]
    text = visible_text(page)
    assert "12:00:00 other failed 1" in text
    assert "checkout.internal:443 refused the connection." in text
    assert "<title>Runs · Scheduler · test</title>" in page
    assert " data-refresh" in page
    assert not has_inline_code(page)


@virtual_time
async def test_filters_of_the_address_limit_the_runs_and_are_in_all_links() -> None:
    jobs = [entry(), entry("other", **ONCE)]
    async with ApiClient(answer(), REFUSED, REFUSED, jobs=jobs) as client:
        await client.perform()
        failed = [await client.perform("other", seconds=-number) for number in (5, 60)]
        page = await get_page(client, PATH, job="other", outcome="failed", **{"from": "2026-03-01T11:59:30"})
        exported = [address for address in find_links(page) if "/api/exports/runs" in address]
        answers = [await client.get(address) for address in exported]

    assert listed(page) == failed[:1]
    assert 'value="other"' in page
    assert '<option value="failed" selected>' in page
    assert 'value="2026-03-01T11:59:30"' in page
    assert len(answers) == 2
    assert all(failed[0] in one.text and failed[1] not in one.text for one in answers)


async def test_a_pattern_lists_the_runs_of_all_jobs_that_match() -> None:
    names = ("pay-api", "pay-web", "search")
    async with ApiClient(jobs=[entry(name) for name in names]) as client:
        tickets = [ticket(name, -number) for number, name in enumerate(names)]
        for each in tickets:
            await client.store_finished(each, run_of(each))
        runs = [each.id for each in tickets[:2]]
        page = await get_page(client, PATH, job="pay-*")
        answers = [await client.get(address) for address in find_links(page) if address.startswith("/api/")]
        answers = [each for each in answers if "runs?" in str(each.url)]
        nothing = visible_text(await get_page(client, PATH, job="shop-*"))

    assert listed(page) == runs
    assert 'value="pay-*"' in page
    assert len(answers) >= 3
    assert all(runs[1] in each.text and "search" not in each.text for each in answers if "exports" in str(each.url))
    assert "No run matches these filters." in nothing


@virtual_time
async def test_a_period_is_in_the_time_zone_of_the_page() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        run = await client.perform()
        headers = {"cookie": "scheduler_zone=Europe/Berlin"}
        around = await client.request("GET", f"{PATH}?from=2026-03-01T12:59:00&to=2026-03-01T13:01:00", headers=headers)
        before = await client.request("GET", f"{PATH}?from=2026-03-01T11:59:00&to=2026-03-01T12:01:00", headers=headers)

    assert listed(around.text) == [run]
    assert "from=2026-03-01T11%3A59%3A00.000Z" in around.text
    assert listed(before.text) == []
    assert "No run matches these filters." in visible_text(before.text)


@virtual_time
async def test_older_runs_are_on_further_pages_which_are_not_refreshed() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        runs = [await client.perform(seconds=-5 * number) for number in range(60)]
        page = await get_page(client, PATH, job="checkout")
        (address,) = [each for each in find_links(page) if "continuation" in each and each.startswith(PATH)]
        older = await get_page(client, address)

    assert [*listed(page), *listed(older)] == runs
    assert "job=checkout" in address
    assert " data-refresh" not in older
    assert "Newest runs" in visible_text(older)


@virtual_time
async def test_what_is_wrong_with_a_filter_is_said() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        unknown = visible_text(await get_page(client, PATH, job="chekout"))
        no_name = visible_text(await get_page(client, PATH, job="a/<b>"))
        reversed_ends = visible_text(
            await get_page(client, PATH, **{"from": "2026-03-02T00:00", "to": "2026-03-01T00:00"})
        )
        no_time = await get_page(client, PATH, **{"from": "2026-02-30T00:00"})

    assert "There is no job named 'chekout', did you mean checkout?" in unknown
    assert "There is no job named 'a/<b>'" in no_name
    assert "is not before the end of the range" in reversed_ends
    assert "is neither an instant nor a duration" in visible_text(no_time)
    assert 'value="2026-02-30T00:00"' in no_time


async def test_without_runs_the_page_says_how_one_starts() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        page = await get_page(client, PATH, job="", outcome="", **{"from": "", "to": ""})

    assert "There are no runs yet." in visible_text(page)


async def test_every_link_works_and_hands_on_the_function_key() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.perform()
        page = await get_page(client, PATH, job="checkout", code="a/b+c==")
        addresses = find_links(page)

        assert 'name="code" value="a/b+c=="' in page
        assert all("code=a%2Fb%2Bc%3D%3D" in address for address in addresses)
        assert {(await client.get(address)).status_code for address in addresses} == {200}
