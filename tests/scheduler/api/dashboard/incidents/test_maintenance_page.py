"""The page of maintenance: what holds notifications back, now and later, and the preview of a draft."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from typing import Any

import pytest

from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.suppression.windows import MaintenanceWindow
from scheduler.authentication.port import Authentication
from scheduler.catalog.catalog import JobSnapshot
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/maintenance"
JOBS = [entry("checkout", tags={"team": "payments"}), entry("shop", tags={"team": "shop"})]
SILENCE = {"select": {"tags": {"team": ["payments"]}}, "for": "2h", "reason": "the provider repairs its gateway"}
WINDOW = {"select": {"jobs": "shop"}, "for": "30m", "reason": "release 42", "change_id": "CHG0042", "effect": "pause"}


@asynccontextmanager
async def open_client(principal: Principal | None = None, **window: Any) -> AsyncIterator[ApiClient]:
    """`window`: of a job file."""
    authentication = None if principal is None else Authentication(Fixed(principal))
    async with ApiClient(jobs=JOBS, authentication=authentication) as client:
        if window:
            defined = MaintenanceWindow.model_validate({"name": "patching", "select": {"all": True}, **window})
            alerting = define_alerting({"windows": (DefinedEntry("", defined, "jobs/alerting.yaml:12"),)})
            client.shop.catalog.replace(JobSnapshot(JOBS, alerting=alerting))
        yield client


@virtual_time
async def test_what_is_in_force_has_its_scope_reason_author_and_end() -> None:
    async with open_client() as client:
        await client.post_json("/api/silences", SILENCE)
        await client.post_json("/api/windows", WINDOW)
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "2 windows or silences are in force, 1 of which without runs" in text
    assert "until 14:00:00 (in 2 h) Effect jobs run, notifications are held back Scope tags team: payments" in text
    assert "Covers 1 job: checkout Created by local:loopback" in text
    assert "CHG0042 until 12:30:00 (in 30 min) Effect jobs do not run Scope jobs shop Covers 1 job: shop" in text
    assert "Reason release 42" in text
    assert "/api/dashboard/jobs/checkout" in find_links(page)
    assert not has_inline_code(page)


@virtual_time
async def test_a_window_of_a_job_file_has_its_place_and_its_recurrence() -> None:
    schedule = {"cron": "0 0 2 * * SUN", "timezone": "Europe/Berlin"}
    async with open_client(schedule=schedule, **{"for": "3h"}) as client:
        text = visible_text(await get_page(client, PATH))

    assert "Nothing holds notifications back" in text
    assert "patching 2026-03-08 01:00:00 (in 6 d 13 h) to 2026-03-08 04:00:00" in text
    assert "Recurrence At 02:00 on Sunday, Europe/Berlin time, for 3h" in text
    assert "Covers 2 jobs: checkout, shop Defined in jobs/alerting.yaml:12" in text


@virtual_time
async def test_a_window_in_which_alone_jobs_notify_does_not_count_while_it_is_active() -> None:
    async with open_client(weekly={"from": "SUN 10:00", "to": "SUN 20:00"}, only_then=True) as client:
        text = visible_text(await get_page(client, PATH))

    assert "Nothing holds notifications back" in text
    assert "jobs notify only in this window Recurrence each week SUN 10:00 to SUN 20:00 (UTC)" in text


def undo_of(page: str) -> tuple[str, str]:
    """The call and the body that revert the only change of the page."""
    ((call, body),) = re.findall(r'data-undo="([^"{]*)" data-undo-body="([^"]*)"', page)
    return call, unescape(body)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("silences", SILENCE),
        ("windows", WINDOW),
        ("silences", SILENCE | {"starts_at": "2026-03-01T13:00:00Z"}),
        ("windows", WINDOW | {"from": "2026-03-01T13:00"}),
        ("windows", WINDOW | {"schedule": {"cron": "0 0 2 * * *"}}),
    ],
)
@virtual_time
async def test_what_was_ended_or_deleted_can_be_created_again(kind: str, body: dict[str, Any]) -> None:
    async with open_client() as client:
        before = (await client.post_json(f"/api/{kind}", body)).json()
        await asyncio.sleep(60)
        page = await get_page(client, PATH)
        call, undo_body = undo_of(page)
        removal = re.search(r'data-action="((?:POST|DELETE) /api/\w+/[^"]*)"', page)
        assert removal is not None
        method, path = removal[1].split()
        assert (await client.request(method, path)).status_code in (200, 204)
        method, path = call.split()
        created = await client.request(method, path, content=undo_body, headers={"content-type": "application/json"})

    assert created.status_code == 201, created.text
    after = created.json()
    compared = ("ends_at", "reason", "jobs", *(("name", "change_id", "effect") if kind == "windows" else ()))
    assert [after[each] for each in compared] == [before[each] for each in compared]


@virtual_time
async def test_what_has_ended_is_shown_with_the_newest_first() -> None:
    async with open_client() as client:
        for reason in ("first", "second"):
            silence = (await client.post_json("/api/silences", SILENCE | {"reason": reason})).json()
            await asyncio.sleep(60)
            await client.post(f"{silence['url']}/end")
            await asyncio.sleep(600)
        await client.shop.repositories.silences.archive_ended(client.shop.clock.now())
        recent = visible_text(await get_page(client, PATH))
        text = visible_text(await get_page(client, PATH, show="ended"))

    assert "first" not in recent
    assert text.index("second") < text.index("first")


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (
            {"form": "recurring", "select.tags": "team=payments", "schedule.cron": "0 0 2 * * SUN", "for": "3h"},
            "At 02:00 on Sunday, for 3h 2026-03-08 02:00:00 UTC to 2026-03-08 05:00:00 UTC (3 h)",
        ),
        (
            {
                "form": "window",
                "select.all": "on",
                "from": "2026-03-02T22:00",
                "until": "2026-03-03T02:00",
                "for": "30m",
                "timezone": "Europe/Berlin",
            },
            "Once 2026-03-02 21:00:00 UTC to 2026-03-03 01:00:00 UTC (4 h) Covers 2 jobs now: checkout, shop",
        ),
        (
            {
                "form": "weekly",
                "select.all": "on",
                "weekly.days": "SUN",
                "weekly.from": "23:00",
                "weekly.to": "05:00",
                "timezone": "Europe/Berlin",
                "for": "1h",
            },
            "each week SUN 23:00 to 05:00 (Europe/Berlin) 2026-03-01 22:00:00 UTC to 2026-03-02 04:00:00 UTC (6 h)",
        ),
        ({"form": "silence", "select.jobs": "nothing-*", "for": "1h"}, "It covers no job now."),
        ({"form": "silence", "for": "1h"}, "selects nothing: set one of"),
        ({"form": "silence", "select.all": "on", "for": "soon"}, "'soon'"),
        ({"form": "recurring", "select.all": "on", "schedule.cron": "every now and then", "for": "1h"}, "schedule"),
        ({"form": "window", "select.all": "on", "from": "2020-01-01T00:00", "for": "1h"}, "has no time after now"),
        ({"form": "other"}, "Nothing holds notifications back"),
    ],
)
@virtual_time
async def test_a_draft_is_previewed_without_a_script(query: dict[str, str], shown: str) -> None:
    async with open_client() as client:
        page = await get_page(client, PATH, **query)

    assert shown in visible_text(page)
    for name in ("select.tags", "schedule.cron"):
        assert not query.get(name) or f'value="{query[name]}"' in page


@virtual_time
async def test_for_a_caller_that_is_limited_to_tags_other_jobs_do_not_exist() -> None:
    async with open_client(PAYMENTS, weekly={"from": "SUN 10:00", "to": "SUN 20:00"}) as client:
        page = await get_page(client, PATH, form="silence", **{"select.all": "on", "for": "1h"})

    text = visible_text(page)
    assert "Scope some of your jobs Covers 1 job: checkout" in text
    assert "Covers 1 job now: checkout" in text
    assert "shop" not in text


@virtual_time
async def test_a_caller_who_may_only_read_is_told_the_role() -> None:
    async with open_client(Principal(PrincipalKind.API_KEY, "ada", Role.VIEWER)) as client:
        text = visible_text(await get_page(client, PATH))

    assert "Silence (role operator)" in text
    assert "No window and no silence is in force: all alerts notify." in text
