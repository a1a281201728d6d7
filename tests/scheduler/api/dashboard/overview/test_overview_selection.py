"""The filters, orders, groups and pages of the overview, as its address says."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace

import pytest

from jobs.runs import Attempt, Phases
from scheduler.features.statistics import slowest
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, visible_text
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of

ONCE = {"retry": {"attempts": 1}}
JOBS = [
    entry("api", description="Charges cards", tags={"team": "payments", "owner": "ada"}, **ONCE),  # type: ignore[arg-type]
    entry("batch", tags={"team": "payments"}, **ONCE),  # type: ignore[arg-type]
    entry("crawler", tags={"team": "search"}, **ONCE),  # type: ignore[arg-type]
    entry("disabled", enabled=False),
]


def rows(page: str) -> list[str]:
    return re.findall(r'<tr id="job-([^"]+)"', page)


@virtual_time
@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", ["crawler", "api", "batch", "disabled"]),
        ("?sort=name", ["api", "batch", "crawler", "disabled"]),
        ("?state=down", ["crawler"]),
        ("?state=up", ["api"]),
        ("?state=no_run", ["batch"]),
        ("?q=cards", ["api"]),
        ("?q=CRAWL", ["crawler"]),
        ("?q=PAYMENTS", ["api", "batch"]),
        ("?q=team%3Dpayments", ["api", "batch"]),
        ("?q=127.0.0.1%3A9+team%3Dsearch", ["crawler"]),
        ("?q=team%3Dpayments+charges", ["api"]),
        ("?q=state%3Adown", ["crawler"]),
        ("?q=state%3Adown&state=up", ["crawler"]),
        ("?q=state%3Anowhere", []),
        ("?q=owner%3Aada+kind%3Ahttp", ["api"]),
        ("?tag=team%3Dpayments", ["api", "batch"]),
        ("?tag=team&tag=owner", ["api"]),
        ("?owner=ada", ["api"]),
        ("?kind=http&state=disabled", ["disabled"]),
        ("?changed=1h", ["crawler", "api"]),
        ("?sort=failure", ["crawler", "api", "batch", "disabled"]),
        ("?sort=latency", ["api", "crawler", "batch", "disabled"]),
        ("?q=&state=&tag=&kind=&owner=&group=&sort=state", ["crawler", "api", "batch", "disabled"]),
    ],
)
async def test_the_address_selects_and_sorts(query: str, expected: list[str]) -> None:
    async with ApiClient(answer(), REFUSED, jobs=JOBS) as client:
        await client.perform("api")
        await client.perform("crawler")
        assert rows(await get_page(client, f"/api/dashboard{query}")) == expected


@virtual_time
async def test_filters_that_are_typed_can_be_removed_one_by_one() -> None:
    async with ApiClient(answer(), jobs=JOBS) as client:
        page = await get_page(client, "/api/dashboard?q=cards+team%3Dpayments+kind%3Ahttp+owner%3Aada")

    assert 'name="q" value="cards"' in page
    text = visible_text(page)
    assert "team=payments \N{MULTIPLICATION SIGN} kind http \N{MULTIPLICATION SIGN} owner ada" in text
    assert "/api/dashboard?q=cards&kind=http&owner=ada" in find_links(page)
    assert "/api/dashboard?q=cards&tag=team%3Dpayments&owner=ada" in find_links(page)


@virtual_time
async def test_the_id_of_a_run_or_an_incident_leads_to_its_page() -> None:
    async with ApiClient(answer(), jobs=JOBS) as client:
        run = await client.perform("api")
        found = await client.get(f"/api/dashboard?q={run}")
        missing = await client.get("/api/dashboard?q=api@20200101T000000.000Z")
        no_incident = await client.get("/api/dashboard?q=1795856400000-5f2c1d9b")

    assert (found.status_code, found.headers["location"]) == (303, f"/api/dashboard/runs/{run}")
    assert (missing.status_code, rows(missing.text)) == (200, [])
    assert (no_incident.status_code, rows(no_incident.text)) == (200, [])


@virtual_time
async def test_counts_lead_to_the_jobs_of_a_state_and_keep_the_other_filters() -> None:
    async with ApiClient(answer(500), jobs=JOBS) as client:
        await client.perform("api")
        page = await get_page(client, "/api/dashboard?tag=team%3Dpayments&state=no_run")

    assert "2 all 1 down 1 no run yet" in visible_text(page)
    assert "/api/dashboard?state=down&tag=team%3Dpayments" in find_links(page)
    assert "/api/dashboard?tag=team%3Dpayments" in find_links(page)
    assert rows(page) == ["batch"]


@virtual_time
async def test_groups_have_their_counts_and_can_be_closed() -> None:
    async with ApiClient(answer(500), jobs=JOBS) as client:
        await client.perform("crawler")
        page = await get_page(client, "/api/dashboard?group=team")

    text = visible_text(page)
    assert rows(page) == ["crawler", "api", "batch", "disabled"]
    assert page.count('<details class="group"') == 3
    assert "crawler" in text
    assert "search 1 job · 1 down" in text
    assert "payments 2 jobs · 2 no run yet" in text
    assert "without team 1 job" in text


async def test_pages_keep_the_filters() -> None:
    jobs = [entry(f"job-{number:03}") for number in range(230)]
    async with ApiClient(jobs=[*jobs, entry("other")]) as client:
        first = await get_page(client, "/api/dashboard?q=job")
        second = await get_page(client, "/api/dashboard?q=job&page=2")

    assert "Jobs 101 to 200 of 230" in visible_text(second)
    assert "/api/dashboard?q=job&page=2" in find_links(first)
    assert {"/api/dashboard?q=job&page=3", "/api/dashboard?q=job"} <= set(find_links(second))


async def test_jobs_that_got_slower_are_first_with_their_share(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowest, "MIN_USUAL", 1)
    async with ApiClient(jobs=[entry("even"), entry("more"), entry("most"), entry("never")]) as client:
        for job, now in (("even", 100), ("more", 200), ("most", 400)):
            for days, ms in ((1, 100), (0, now)):
                ticket = client.shop.ticket(-7200 - days * 86400, job)
                attempts = (Attempt(1, ticket.due_at, Phases(total_ms=ms), 200),)
                await client.store_finished(ticket, replace(run_of(ticket), attempts=attempts))
        page = await get_page(client, "/api/dashboard?sort=slower")
        await client.perform("even")
        client.break_store()
        again = await client.services.slowest.find_slower()

    assert rows(page) == ["most", "more", "even", "never"]
    assert visible_text(page).count("p95 +") == 2
    assert [*again] == ["most", "more"]


async def test_what_got_slower_is_found_in_the_background(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slowest, "MAX_WAIT_SECONDS", 0.01)
    known, read, reads = asyncio.Event(), slowest.SlowestReader.read, list[object]()

    async def read_later(*arguments: object, **more: object) -> object:
        reads.append(more)
        await known.wait()
        return await read(*arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(slowest.SlowestReader, "read", read_later)
    async with ApiClient(jobs=JOBS) as client:
        early = visible_text(await get_page(client, "/api/dashboard?sort=slower"))
        known.set()
        monkeypatch.setattr(slowest, "MAX_WAIT_SECONDS", 60.0)
        late = visible_text(await get_page(client, "/api/dashboard?sort=slower&state="))

    assert "What got slower is being read; this page shows it when it is known. They are sorted by state." in early
    assert "They are sorted" not in late
    assert len(reads) == 1


async def test_too_many_jobs_to_sort_by_latency_are_sorted_by_state() -> None:
    async with ApiClient(jobs=[entry(f"job-{number:03}") for number in range(501)]) as client:
        text = visible_text(await get_page(client, "/api/dashboard?sort=latency"))

    assert "501 jobs are too many to sort by latency: select 500 or fewer." in text


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("?state=down", "No job is down."),
        ("?q=nothing", "No job matches these filters."),
        ("?owner=x&state=up", "No job matches"),
    ],
)
async def test_an_empty_selection_says_what_is_missing(query: str, text: str) -> None:
    async with ApiClient() as client:
        assert text in visible_text(await get_page(client, f"/api/dashboard{query}"))


@pytest.mark.parametrize(
    "query", ["state=broken", "kind=ftp", "tag==x", "sort=size", "span=1y", "page=0", "changed=2h"]
)
async def test_an_invalid_filter_is_refused(query: str) -> None:
    async with ApiClient() as client:
        assert (await client.get(f"/api/dashboard?{query}")).status_code == 400


async def test_what_is_searched_is_text_and_not_markup() -> None:
    async with ApiClient() as client:
        page = await get_page(client, q='"><script>alert(1)</script>')

    assert "<script>alert" not in page


async def test_callers_of_a_tag_see_no_other_job() -> None:
    async with ApiClient(jobs=JOBS) as client:
        limited = client.services.for_principal(
            Principal(PrincipalKind.API_KEY, "ci", Role.VIEWER, frozenset({("team", "search")}))
        )
        whole = await client.services.overview.read()
        part = await limited.overview.read()

    assert len(whole.summaries) == 4
    assert [each.name for each in part.summaries] == ["crawler"]
