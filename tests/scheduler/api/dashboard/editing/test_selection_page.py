"""GET /api/dashboard/selection, as the server sends it."""

from __future__ import annotations

import re

from scheduler.authentication.port import Authentication
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.scheduler.api.access.test_tag_limits import PAYMENTS, Fixed
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PAGE = "/api/dashboard/selection"
JOBS = [entry("checkout", tags={"team": "payments"}), entry("shop", tags={"team": "web"}), entry("wiki")]


def selectable(page: str) -> list[str]:
    return re.findall(r'data-select="([^"]*)"', page)


async def test_all_jobs_can_be_selected() -> None:
    async with ApiClient(jobs=JOBS) as client:
        page = await get_page(client, PAGE)
    assert selectable(page) == ["checkout", "shop", "wiki"]
    assert "Select jobs 3 of 3 jobs" in visible_text(page)
    assert page.count("data-bulk=") == 4
    assert not has_inline_code(page)


async def test_the_filters_are_those_of_the_overview() -> None:
    async with ApiClient(jobs=JOBS) as client:
        by_tag = await get_page(client, PAGE, tag="team=payments")
        by_text = await get_page(client, PAGE, q="SHO")
        none = await get_page(client, PAGE, state="down")
        wrong = await client.get(PAGE, kind="nope")
    assert selectable(by_tag) == ["checkout"]
    assert "tag=team%3Dpayments" in by_tag
    assert selectable(by_text) == ["shop"]
    assert "No job matches these filters." in visible_text(none)
    assert wrong.status_code == 400


async def test_a_paused_job_shows_its_reason_as_text() -> None:
    async with ApiClient(jobs=JOBS) as client:
        await client.post_json("/api/jobs/wiki/pause", {"reason": "<b>move</b>"})
        page = await get_page(client, PAGE, state="paused")
    assert selectable(page) == ["wiki"]
    assert "<b>move" not in page
    assert "paused: <b>move</b>" in visible_text(page)


async def test_a_viewer_sees_which_role_is_missing() -> None:
    viewer = Principal(PrincipalKind.API_KEY, "someone", Role.VIEWER)
    async with ApiClient(jobs=JOBS, authentication=Authentication(Fixed(viewer))) as client:
        page = await get_page(client, PAGE)
    assert "Actions need the role operator." in visible_text(page)
    assert "data-bulk=" not in page


async def test_a_caller_with_tags_selects_its_own_jobs() -> None:
    async with ApiClient(jobs=JOBS, authentication=Authentication(Fixed(PAYMENTS))) as client:
        page = await get_page(client, PAGE)
    assert selectable(page) == ["checkout"]


async def test_without_jobs_there_is_a_next_step() -> None:
    async with ApiClient(jobs=[]) as client:
        assert "There are no jobs. Create one" in visible_text(await get_page(client, PAGE))
