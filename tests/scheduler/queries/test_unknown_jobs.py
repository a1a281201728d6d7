"""A job whose newest runs are unknown, as the API, pages and commands show it."""

from __future__ import annotations

from datetime import timedelta

from jobs.runs.outcomes import ReasonCode
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import get_page, visible_text
from tests.scheduler.fakes import entry

FORBIDDEN = "arm.example.com answered 403: grant Reader on /subscriptions/1."
UNKNOWN = answer(403, unknown=FORBIDDEN)
ONCE = {"retry": {"attempts": 1}}


def _client(*steps: object, names: tuple[str, ...] = ("queue",)) -> ApiClient:
    return ApiClient(*steps, jobs=[entry(name, **ONCE) for name in names])  # type: ignore[arg-type]


async def _run(client: ApiClient, *names: str) -> None:
    for name in names:
        await client.perform(name)
        await client.shop.clock.sleep(60)


@virtual_time
async def test_the_job_is_unknown_with_the_sentence_since_when_and_its_last_known_state() -> None:
    async with _client(REFUSED, UNKNOWN, answer(429, unknown="Too many requests until 12:10.")) as client:
        await _run(client, "queue", "queue", "queue")
        shown = (await client.get("/api/jobs/queue")).json()
        changes = (await client.get("/api/changes")).json()["changes"]
        text = visible_text(await get_page(client, "/api/dashboard/jobs/queue"))
    assert (shown["status"], shown["last_known"]) == ("unknown", "down")
    assert shown["reason"] == "Too many requests until 12:10."
    assert (shown["latest"]["outcome"], shown["latest"]["reason"]) == ("skipped", ReasonCode.UNKNOWN)
    assert [(each["state"], each["cause"]["code"]) for each in changes] == [
        ("unknown", "unknown"),
        ("down", "connection_refused"),
    ]
    assert shown["state_since"] == changes[0]["at"]
    assert "queue is unknown since" in text
    assert "It cannot be checked: Too many requests until 12:10. Its last known state: down." in text


@virtual_time
async def test_it_leaves_unknown_with_the_next_run_that_checks() -> None:
    async with _client(answer(), UNKNOWN, answer()) as client:
        await _run(client, "queue", "queue", "queue")
        shown = (await client.get("/api/jobs/queue")).json()
        overview = await client.services.overview.read()
    assert (shown["status"], shown["reason"], shown["last_known"]) == ("up", "", None)
    assert overview.facts.changes.get("queue", 0) <= 1, "to be unknown is not unstable"


@virtual_time
async def test_neither_uptime_nor_percentiles_count_it() -> None:
    async with _client(answer(), UNKNOWN, UNKNOWN) as client:
        await _run(client, "queue", "queue", "queue")
        uptime = (await client.get("/api/jobs/queue/uptime")).json()
        hour = client.shop.clock.now().replace(minute=0, second=0, microsecond=0)
        runs = await client.services.runs.list_rollups("queue", hour, hour + timedelta(hours=1))
    assert uptime["runs"] == 1
    assert sum(part.rollup.tally.response_time.total for part in runs) == 1


@virtual_time
async def test_the_overview_counts_it_neither_up_nor_down_and_has_a_filter() -> None:
    async with _client(answer(), UNKNOWN, names=("api", "queue")) as client:
        await _run(client, "api", "queue")
        text = visible_text(await get_page(client))
        found = visible_text(await get_page(client, state="unknown"))
        wall = visible_text(await get_page(client, "/api/dashboard/wall"))
        runs = visible_text(await get_page(client, "/api/dashboard/runs"))
    assert "No job is down" in text
    assert "1 up 1 unknown" in wall.replace("1 unknown 1 up", "1 up 1 unknown")
    assert "queue" in found
    assert FORBIDDEN in found
    assert "api" not in found.partition("Next run")[2].partition("succeeded")[0]
    assert f"unknown 1 min {FORBIDDEN}" in wall
    assert "unknown" in runs


@virtual_time
async def test_its_runs_have_marks_and_words_of_their_own_in_every_chart() -> None:
    async with _client(UNKNOWN, UNKNOWN, answer()) as client:
        await _run(client, "queue", "queue")
        overview = await get_page(client)
        job = await get_page(client, "/api/dashboard/jobs/queue")
        runs = await get_page(client, "/api/dashboard/runs")
        await _run(client, "queue")
        later = await get_page(client)
    assert 'class="bar-unknown"' in overview
    assert "bar-other" not in overview
    assert 'aria-label="24 h: 2 unknown runs"' in overview
    assert 'aria-label="1 h: 100 % succeeded, 2 unknown"' in later
    assert '<i class="span unknown"></i>unknown</li>' in overview
    assert '<i class="mark unknown" aria-hidden="true"></i>unknown</span>' in overview
    assert 'class="state-part unknown"' in job
    assert '<rect class="chart-fill unknown" width="10"' in job
    assert 'class="block unknown"' in runs
    assert "2 runs, 2 unknown" in runs
