"""The page of all incidents: what is open comes first, then what is resolved; filters are in the address."""

from __future__ import annotations

import asyncio

import pytest

from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.access.test_tag_limits import PAYMENTS
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.api.routes.test_incidents import OURS, THEIRS, open_client
from tests.scheduler.fakes import entry

PATH = "/api/dashboard/incidents"


@virtual_time
async def test_open_incidents_come_first_with_what_was_done_about_them() -> None:
    async with open_client() as client:
        await client.post(f"/api/incidents/{OURS}/acknowledge")
        await client.post(f"/api/incidents/{THEIRS}/resolve")
        page = await get_page(client, PATH)

    text = visible_text(page)
    assert "1 incident is open" in text
    assert "down checkout since 12:00:00" in text
    assert "3 of 3 runs failed Affects checkout Notified mail Handled acknowledged by local:loopback" in text
    assert text.index("checkout") < text.index("Resolved") < text.index("shop")
    assert f"/api/dashboard/incidents/{OURS}" in find_links(page)
    assert f'data-action="POST /api/incidents/{OURS}/acknowledge"' not in page
    assert f'data-action="POST /api/incidents/{OURS}/snooze"' in page
    assert not has_inline_code(page)


@virtual_time
async def test_without_an_open_incident_the_page_names_the_last_one() -> None:
    async with open_client() as client:
        for incident in (OURS, THEIRS):
            await client.post(f"/api/incidents/{incident}/resolve")
        await asyncio.sleep(90)
        text = visible_text(await get_page(client, PATH))

    assert "The last incident ended 1 min 30 s ago." in text


async def test_without_any_incident_the_page_says_what_opens_one() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        text = visible_text(await get_page(client, PATH))

    assert "None was recorded: an alert rule opens one when a job fails." in text


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ({"job": "shop"}, {"shop"}),
        ({"tag": "team=payments"}, {"checkout"}),
        ({"status": "resolved"}, set()),
        ({"status": "open", "severity": "down"}, {"checkout", "shop"}),
        ({"severity": "degraded"}, set()),
        ({"from": "2026-03-01T13:00"}, set()),
        ({"from": "2026-03-01T11:00", "to": "2026-03-01T14:00"}, {"checkout", "shop"}),
        ({"job": "", "status": "", "severity": "", "tag": "", "from": "", "to": ""}, {"checkout", "shop"}),
    ],
)
@virtual_time
async def test_filters_select(query: dict[str, str], shown: set[str]) -> None:
    async with open_client() as client:
        page = await get_page(client, PATH, **query)

    assert {name for name in ("checkout", "shop") if f'"><bdi>{name}</bdi></a>' in page} == shown


@pytest.mark.parametrize(
    ("query", "problem"),
    [
        ({"job": "shp"}, "there is no job named 'shp', did you mean shop?"),
        ({"from": "soon"}, "from: 'soon' is neither an instant nor a duration"),
        ({"status": "closed"}, "status: expected open or resolved"),
        ({"tag": "=x"}, "tag:"),
    ],
)
@virtual_time
async def test_a_wrong_filter_is_explained_on_the_page(query: dict[str, str], problem: str) -> None:
    async with open_client() as client:
        page = await get_page(client, PATH, **query)

    assert problem in visible_text(page)


@virtual_time
async def test_instants_of_filters_are_in_the_zone_of_the_user() -> None:
    """The incidents opened at 12:00 UTC, 13:00 in Berlin."""
    async with open_client() as client:
        headers = {"cookie": "scheduler_zone=Europe/Berlin"}
        found = [
            (await client.request("GET", f"{PATH}?from={each}", headers=headers)).text
            for each in ("2026-03-01T12:59", "2026-03-01T13:01")
        ]

    assert ["2 incidents are open" in page for page in found] == [True, False]


@virtual_time
async def test_older_incidents_are_on_further_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    from scheduler.features.incidents import page as incident_list_page

    monkeypatch.setattr(incident_list_page, "RESOLVED_PER_PAGE", 1)
    async with open_client() as client:
        for incident in (OURS, THEIRS):
            await client.post(f"/api/incidents/{incident}/resolve")
        page = await get_page(client, f"{PATH}?severity=down")
        (older,) = [each for each in find_links(page) if "continuation=" in each]
        second = await get_page(client, older)

    shown = [[name for name in ("checkout", "shop") if f"<bdi>{name}</bdi>" in each] for each in (page, second)]
    assert shown == [["checkout"], ["shop"]]
    assert "severity=down" in older


@virtual_time
async def test_for_a_caller_that_is_limited_to_tags_other_incidents_do_not_exist() -> None:
    async with open_client(PAYMENTS) as client:
        page = await get_page(client, PATH)
        other = await client.get(f"{PATH}/{THEIRS}")

    assert ("checkout" in page, "shop" in page, other.status_code) == (True, False, 404)


@virtual_time
async def test_a_notification_that_no_channel_could_deliver_is_visible() -> None:
    from tests.scheduler.api.dashboard.incidents.letters import store_letters

    async with open_client() as client:
        await store_letters(client, OURS, 1)
        text = visible_text(await get_page(client, PATH))

    assert "Notified mail (could not be delivered)" in text
