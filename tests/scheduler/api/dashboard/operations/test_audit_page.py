"""The pages of the audit trail, as the server sends them."""

from __future__ import annotations

import re
from typing import Any

from jobs.redaction import Redactor
from scheduler.audit.stored_trail import StoredAuditTrail
from scheduler.audit.trail import AuditedChange
from scheduler.stores.audit import AUDIT_TABLE
from scheduler.stores.port import Upsert
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.audit.memory_trail import API_CALLER
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/audit"


async def record(client: ApiClient, action: str = "job.pause", job: str = "checkout", **states: Any) -> None:
    trail = StoredAuditTrail(client.shop.audit_log, client.shop.clock, Redactor())
    await trail.record(API_CALLER, AuditedChange(action, job, f"{action} of <b>{job}</b>", (job,), **states))


def listed(page: str) -> list[int]:
    return [int(each) for each in re.findall(r'<tr id="entry-(\d+)"', page)]


@virtual_time
async def test_an_entry_reports_who_did_what_when_and_from_where() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await record(client, before={"until": None, "reason": "x"}, after={"until": None, "reason": "<i>y</i>"})
        await record(client, "run.cancel")
        page = await get_page(client, PATH)

    assert listed(page) == [2, 1]
    text = visible_text(page)
    assert "12:00:00 local:loopback admin job.pause of <b>checkout</b> job.pause: checkout" in text
    assert "What changed reason \N{MINUS SIGN} before: x + after: <i>y</i>" in text
    assert "api 127.0.0.1" in text
    assert "Entries 2, from 1 to 2" in text
    assert "audit verify --anchor 2:" in text
    assert not has_inline_code(page)


@virtual_time
async def test_filters_limit_the_entries_and_the_export() -> None:
    async with ApiClient(jobs=[entry(), entry("other")]) as client:
        await record(client)
        await record(client, "run.cancel", "other")
        await client.shop.clock.sleep(3600)
        await record(client, "run.cancel")
        by_action = await get_page(client, PATH, action="run", job="checkout")
        by_who = await get_page(client, PATH, principal="loopback")
        nobody = await get_page(client, PATH, principal="nobody")
        in_time = await get_page(client, PATH, **{"from": "2026-03-01T12:30"})
        (export,) = [each for each in find_links(in_time) if "/api/audit/export" in each]
        lines = (await client.get(export)).text.splitlines()
        unknown = visible_text(await get_page(client, PATH, job="chekout"))

    assert (listed(by_action), listed(by_who), listed(nobody), listed(in_time)) == ([3], [3, 2, 1], [], [3])
    assert len(lines) == 1
    assert "No entry matches these filters." in visible_text(nobody)
    assert "There is no job named 'chekout'" in unknown


@virtual_time
async def test_older_entries_are_on_further_pages() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        for _ in range(60):
            await record(client)
        page = await get_page(client, PATH, action="job")
        (following,) = [each for each in find_links(page) if "continuation" in each]
        older = await get_page(client, following)

    assert [*listed(page), *listed(older)] == list(range(60, 0, -1))
    assert "action=job" in following
    assert " data-refresh" in page
    assert " data-refresh" not in older


@virtual_time
async def test_an_entry_has_its_own_page_with_all_fields() -> None:
    many = {f"field{number:02}": number for number in range(20)}
    async with ApiClient(jobs=[entry()]) as client:
        await record(client, "job.replace", before=many, after={})
        page = await get_page(client, PATH)
        own = await get_page(client, f"{PATH}/1")
        missing = await client.request("GET", f"{PATH}/2", headers={"accept": "text/html"})

    assert "field07" in page
    assert "field08" not in page
    assert "All of entry 1" in visible_text(page)
    assert "field19 \N{MINUS SIGN} before: 19" in visible_text(own)
    assert "request request-1" in visible_text(own)
    assert missing.status_code == 404


@virtual_time
async def test_a_damaged_entry_does_not_hide_the_others() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        await record(client)
        await record(client)
        await client.shop.store.apply(Upsert(AUDIT_TABLE, "chain", f"{1:012d}", '{"seq":"one","kind":"odd","jobs":[]}'))
        text = visible_text(await get_page(client, PATH))

    assert "entry 1 - damaged this entry is damaged" in text


async def test_without_entries_the_page_says_what_adds_one() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        assert "There are no entries yet." in visible_text(await get_page(client, PATH))
