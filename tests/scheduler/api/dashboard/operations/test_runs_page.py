"""GET /api/dashboard/runs, as the server sends it."""

from __future__ import annotations

import re
from html import unescape

from hypothesis import given
from hypothesis import strategies as st

from scheduler.authentication.port import Authentication
from scheduler.features.runs.runs_page import stack_blocks
from tests.jobs.running.run_parts import REFUSED, Hang, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
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
    assert "12:00:00 other checkout.internal:443 refused the connection. failed schedule 0 ms" in text
    assert "11:59:55 checkout succeeded 200 schedule" in text
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
    assert '<input type="hidden" name="outcome" value="failed">' in page
    assert re.search(r'outcome=failed[^"]*" aria-current="true"', page)
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
async def test_runs_that_have_not_finished_are_one_line() -> None:
    async with ApiClient(Hang("body", 9.0), answer(), jobs=[entry(), entry("other")]) as client:
        client.shop.worker.submit(client.shop.ticket())
        await client.shop.clock.sleep(1)
        finished = await client.perform("other")
        queued = await client.enqueue("other", -1)
        coming = await client.enqueue("other", 60)
        page = await get_page(client, PATH)
        by_state = await get_page(client, PATH, outcome="running")
        of_job = await get_page(client, PATH, job="other")

    assert "1 running, 1 queued, 1 about to start" in visible_text(page)
    assert '<details class="open-runs" id="open-runs">' in page
    assert listed(page)[-1] == finished
    assert {queued.ticket.id, coming.ticket.id} < set(listed(page)[:3])
    assert len(listed(by_state)) == 1
    assert "open-runs" not in by_state
    assert "1 queued, 1 about to start" in visible_text(of_job)


@virtual_time
async def test_the_id_of_a_run_opens_it_and_an_unknown_one_is_said() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        run = await client.perform()
        found = await client.get(PATH, job=f" {run} ", code="k")
        unknown = visible_text(await get_page(client, PATH, job="checkout@20200101T000000.000Z"))

    assert found.status_code == 303
    assert found.headers["location"] == f"/api/dashboard/runs/{run}?code=k"
    assert "There is no run 'checkout@20200101T000000.000Z': retention may have removed it." in unknown


@virtual_time
async def test_a_tag_selects_the_jobs_of_list_bars_and_exports() -> None:
    jobs = [entry("ours", tags={"team": "payments"}), entry("theirs", tags={"team": "shop"})]
    async with ApiClient(jobs=jobs) as client:
        ours, theirs = [await client.perform(job.job.name, seconds=-60) for job in jobs]
        page = await get_page(client, PATH, tag="team=payments")
        exported = [await client.get(each) for each in find_links(page) if "/api/exports/runs" in each]
        as_json = (await client.get("/api/runs", tag="team=payments")).json()["runs"]
        wrong = visible_text(await get_page(client, PATH, tag="=x"))

    assert listed(page) == [ours]
    assert "1 run" in visible_text(page)
    assert [each["id"] for each in as_json] == [ours]
    assert len(exported) == 2
    assert all(ours in each.text and theirs not in each.text for each in exported)
    assert "tag" in wrong


@virtual_time
async def test_bars_lead_to_the_runs_of_their_time() -> None:
    jobs = [entry("good"), entry("bad", **ONCE)]
    async with ApiClient(answer(), answer(), REFUSED, jobs=jobs) as client:
        early = await client.perform("good", seconds=-7200)
        late = [await client.perform("good", seconds=-60), await client.perform("bad", seconds=-30)]
        page = await get_page(client, PATH, code="k")
        bars = re.findall(r'<a class="bar" href="([^"]+)" aria-label="([^"]+)"', page)
        links = {text: unescape(address) for address, text in bars if "no run" not in text}
        opened = {text: listed(await get_page(client, address)) for text, address in links.items()}

    assert len(bars) == 24
    assert opened == {
        "1 Mar 10:00 to 11:00: 1 run": [early],
        "1 Mar 11:00 to 12:00: 2 runs, 1 failed": late[::-1],
    }
    assert "Runs from 28 Feb 13:00 to 1 Mar 13:00: 3 runs, 1 failed" in page
    assert all("code=k" in address for address in links.values())


@virtual_time
async def test_a_short_period_has_short_bars_and_a_long_one_days() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await client.perform(seconds=-60)
        pages = [await get_page(client, PATH, **{"from": since}) for since in ("1h", "2d", "30d")]

    texts = [re.findall(r'aria-label="([^"]+: 1 run)"', page) for page in pages]
    assert texts == [
        ["1 Mar 11:59:00 to 12:00: 1 run"],
        ["1 Mar 11:00 to 12:00: 1 run"],
        ["1 Mar 00:00 to 00:00: 1 run"],
    ]


@given(
    st.dictionaries(st.sampled_from(["up", "degraded", "unknown", "other", "down"]), st.integers(0, 10_000)),
    st.integers(1, 5),
)
def test_the_blocks_of_a_bar_stand_on_each_other_within_its_height(counts: dict[str, int], factor: int) -> None:
    blocks = list(stack_blocks(counts, max(1, factor * sum(counts.values()))))

    assert [each.kind for each in blocks] == [kind for kind, count in counts.items() if count]
    edges = [100.0, *(each.top for each in blocks)]
    assert all(abs(below - each.height - each.top) < 0.02 for below, each in zip(edges, blocks, strict=False))
    assert all(each.height > 0 and each.top >= 0 for each in blocks)


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


@virtual_time
async def test_a_caller_that_is_limited_to_tags_sees_the_outcomes_of_its_jobs_alone() -> None:
    jobs = [entry("ours", tags={"team": "payments"}), entry("theirs", tags={"team": "shop"}, **ONCE)]
    async with ApiClient(answer(), REFUSED, jobs=jobs, authentication=Authentication(Fixed(PAYMENTS))) as client:
        for job in jobs:
            await client.perform(job.job.name, seconds=-60)
        pages = [await get_page(client, PATH, **query) for query in ({}, {"from": "1h"}, {"job": "theirs"})]

    assert all(": 1 run</span>" in page for page in pages[:2])
    assert not any("1 failed" in page for page in pages)
    assert "histogram" not in pages[2]
