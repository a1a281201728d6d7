"""GET /api/dashboard/jobs/{name}/plan, and the geometry of its diagram."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.features.jobs.plan_page import MAX_IN_COLUMN, draw_dependencies
from tests.jobs.running.run_parts import REFUSED
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, get_page, has_inline_code, visible_text
from tests.scheduler.fakes import entry

PAGE = "/api/dashboard/jobs/checkout/plan"


@virtual_time
async def test_the_next_ten_runs_stand_in_local_time_and_utc() -> None:
    nightly: Any = {"cron": "0 0 3 * * *", "timezone": "Europe/Berlin"}
    async with ApiClient(jobs=[entry("checkout", nightly)]) as client:
        page = await get_page(client, PAGE)

    text = visible_text(page)
    assert "Europe/Berlin UTC From now 2026-03-02 03:00:00 CET 2026-03-02 02:00:00 in 14 h" in text
    assert "2026-03-11 03:00:00 CET" in text
    assert page.count("<tr><td><time") == 10


@virtual_time
@pytest.mark.parametrize(
    ("schedule", "more", "output"),
    [
        ("every 10s", {"enabled": False}, "The job is disabled: it runs only on demand."),
        (None, {}, "The job has no schedule: it runs only on demand."),
        (None, {"depends_on": ["other"]}, "The job has no schedule: it runs after other."),
    ],
)
async def test_a_job_without_next_runs_reports_why(schedule: str | None, more: dict[str, Any], output: str) -> None:
    async with ApiClient(jobs=[entry("checkout", schedule, **more), entry("other")]) as client:
        assert output in visible_text(await get_page(client, PAGE))


@virtual_time
async def test_the_diagram_has_links_and_states() -> None:
    jobs = [
        entry("database", retry={"attempts": 1}),
        entry("checkout", None, depends_on=["database"]),
        entry("report", None, depends_on=["checkout"]),
    ]
    async with ApiClient(REFUSED, jobs=jobs) as client:
        await client.perform("database")
        page = await get_page(client, PAGE)

    assert {"/api/dashboard/jobs/database", "/api/dashboard/jobs/report"} <= set(find_links(page))
    assert "database: down" in page
    assert "report: waiting" in page
    assert not has_inline_code(page)


@virtual_time
async def test_a_job_without_dependencies_reports_it() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        assert "no other job depends on it" in visible_text(await get_page(client, PAGE))


async def test_every_link_works() -> None:
    async with ApiClient(jobs=[entry(), entry("report", None, depends_on=["checkout"])]) as client:
        addresses = find_links(await get_page(client, PAGE, code="a/b+c=="))
        assert {(await client.get(address)).status_code for address in addresses} == {200}


PARENTS = {"c": ["b"], "b": ["a"], "a": ["root"], "d": ["c"], "e": ["c", "b"]}


def dependents(name: str) -> list[str]:
    return [job for job, names in PARENTS.items() if name in names]


def test_the_diagram_has_two_levels_in_each_direction() -> None:
    found = draw_dependencies("c", lambda name: PARENTS.get(name, []), dependents)
    assert found is not None
    assert [(node.name, node.left, node.is_center) for node in found.nodes] == [
        ("a", 0, False),
        ("b", 246, False),
        ("c", 492, True),
        ("d", 738, False),
        ("e", 738, False),
    ]
    assert len(found.edges) == 5
    assert found.omitted == 0


def test_a_large_level_is_cut() -> None:
    many = [f"job{number:02}" for number in range(20)]
    found = draw_dependencies("c", lambda _: [], lambda name: many if name == "c" else [])
    assert found is not None
    assert (len(found.nodes), found.omitted) == (MAX_IN_COLUMN + 1, 20 - MAX_IN_COLUMN)


def test_a_long_name_is_cut_to_its_box() -> None:
    found = draw_dependencies("c", lambda name: ["x" * 90] if name == "c" else [], lambda _: [])
    assert found is not None
    assert found.nodes[0].text == "x" * 23 + "…"
