"""Lists of jobs and runs, chosen by what people ask for."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jobs.runs import Ticket
from jobs.targets import TARGETS_BY_KIND
from scheduler.catalog.catalog import CatalogJob
from scheduler.features.jobs import queries
from scheduler.stores.gates import Pause
from tests.jobs.running.run_parts import answer
from tests.jobs.running.virtual_time import START, virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of

ONCE = {"attempts": 1}


def several() -> list[CatalogJob]:
    return [
        entry("checkout-api", tags={"team": "payments", "critical": "yes"}, retry=ONCE),
        entry("checkout-page", tags={"team": "web"}, retry=ONCE),
        entry("off", enabled=False, tags={"team": "payments"}, retry=ONCE),
        entry("zone", check={"kind": "dns", "name": "a.example"}, retry=ONCE),
    ]


async def names(client: ApiClient, query: str) -> list[str]:
    answered = await client.get(f"/api/jobs?{query}")
    assert answered.status_code == 200, answered.text
    return [job["name"] for job in answered.json()["jobs"]]


async def refused(client: ApiClient, path: str, status: int = 400) -> tuple[str, str]:
    answered = await client.get(path)
    assert (answered.status_code, answered.headers["content-type"]) == (status, "application/problem+json")
    (error,) = answered.json()["errors"]
    return error["location"], f"{error['message']}; {error.get('hint', '')}"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=checkout-*", ["checkout-api", "checkout-page"]),
        ("name=checkout-api&name=off", ["checkout-api", "off"]),
        ("kind=dns", ["zone"]),
        ("kind=dns&kind=tls", ["zone"]),
        ("tag=team", ["checkout-api", "checkout-page", "off"]),
        ("tag=team=payments", ["checkout-api", "off"]),
        ("tag=team%3Dpayments&tag=critical", ["checkout-api"]),
        ("state=disabled", ["off"]),
        ("state=enabled", ["checkout-api", "zone"]),
        ("state=paused", ["checkout-page"]),
        ("state=paused&state=disabled", ["checkout-page", "off"]),
        ("tag=team=payments&state=enabled&kind=http&name=*api", ["checkout-api"]),
        ("tag=nobody", []),
        ("outcome=none", ["checkout-page", "off", "zone"]),
        ("outcome=succeeded", ["checkout-api"]),
        ("outcome=succeeded&outcome=none&kind=http", ["checkout-api", "checkout-page", "off"]),
        ("outcome=failed", []),
    ],
)
@virtual_time
async def test_jobs_are_chosen_by_filters_that_are_combined_by_and(query: str, expected: list[str]) -> None:
    async with ApiClient(answer(), jobs=several()) as client:
        await client.perform("checkout-api")
        await client.shop.pauses.set_pause(Pause("checkout-page", START, None))

        assert await names(client, query) == expected


@pytest.mark.parametrize(
    ("query", "where", "says"),
    [
        ("kind=htp", "query.kind", "'htp' is not allowed, did you mean http?; allowed: http, steps, tcp"),
        ("state=stopped", "query.state", "'stopped' is not allowed; allowed: enabled, paused, disabled"),
        ("outcome=running", "query.outcome", "'running' is not allowed; allowed: succeeded, failed"),
        ("name=a/b", "query.name", "'a/b' cannot match a job name; use letters"),
        ("tag=", "query.tag", "'' has no tag name; use a form such as team or team=payments"),
        ("limit=1&limit=2", "query.limit", "the parameter is given more than once; "),
        ("tags=team", "query.tags", "unknown parameter, did you mean tag?; "),
    ],
)
@virtual_time
async def test_an_unknown_value_of_a_filter_is_a_problem(query: str, where: str, says: str) -> None:
    async with ApiClient(jobs=several()) as client:
        found, message = await refused(client, f"/api/jobs?{query}")
    assert found == where
    assert message.startswith(says)


@virtual_time
async def test_pages_of_chosen_jobs_meet_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "MAX_JOBS_SCANNED", 3)
    monkeypatch.setattr(queries, "_SCAN_BATCH", 2)
    jobs = [entry(f"j{number:02}", retry=ONCE, tags={"odd": ""} if number % 2 else {}) for number in range(11)]
    async with ApiClient(answer(), jobs=jobs) as client:
        for number in (1, 2, 5, 9):
            await client.perform(f"j{number:02}")

        odd = await client.get_all("/api/jobs", "jobs", tag="odd", limit=2)
        ran = [await client.get_all("/api/jobs", "jobs", outcome="succeeded", limit=limit) for limit in (1, 2, 500)]

    assert [job["name"] for job in odd] == ["j01", "j03", "j05", "j07", "j09"]
    assert [[job["name"] for job in found] for found in ran] == [["j01", "j02", "j05", "j09"]] * 3


async def due(client: ApiClient, query: str) -> list[float]:
    """Seconds after START at which the listed runs were due."""
    answered = await client.get(f"/api/runs?{query}")
    assert answered.status_code == 200, answered.text
    runs = answered.json()["runs"]
    return [(datetime.fromisoformat(run["due_at"]) - START).total_seconds() for run in runs]


def text(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


@virtual_time
async def test_runs_are_chosen_by_when_they_were_due() -> None:
    async with ApiClient(answer(), jobs=[entry("a", retry=ONCE), entry("b", retry=ONCE)]) as client:
        for job, seconds in (("a", -90), ("a", -60), ("a", -30), ("a", 0), ("b", -45)):
            made = Ticket.scheduled(job, START + timedelta(seconds=seconds), "")
            await client.store_finished(made, run_of(made))

        assert await due(client, f"job=a&from={text(-60)}") == [0, -30, -60]
        assert await due(client, f"from={text(-60)}&to={text(-30)}") == [-30, -45, -60]
        assert await due(client, f"from={text(-60)}&to={text(-30)}&outcome=failed") == []
        assert await due(client, "from=50s&to=10s") == [-30, -45]
        assert await due(client, f"to={text(-45)}&job=b") == [-45]
        assert await due(client, f"job=a&to={text(-61)}") == [-90]
        in_berlin = text(-60).replace("T12", "T13").replace("T11", "T12").replace("Z", "+01:00")
        assert await due(client, f"job=a&from={in_berlin}&to={text(-50)}") == [-60]
        paged = await client.get_all("/api/runs", "runs", limit=1, **{"from": text(-60), "to": text(-30)})

    assert [run["job"] for run in paged] == ["a", "b", "a"]


@pytest.mark.parametrize(
    ("query", "where", "says"),
    [
        ("from=yesterday", "query.from", "'yesterday' is neither an instant nor a duration; use an instant such as"),
        ("to=2026-13-01T00:00:00Z", "query.to", "'2026-13-01T00:00:00Z' is neither an instant nor a duration"),
        (
            "from=2026-11-25T02:00:00Z&to=2026-11-25T01:00:00Z",
            "query.from",
            "2026-11-25T02:00:00Z is not before the end of the range, 2026-11-25T01:00:00Z; swap them",
        ),
        ("from=1h&to=1h", "query.from", ""),
        ("since=1h", "query.since", "unknown parameter"),
    ],
)
@virtual_time
async def test_an_interval_that_is_none_is_a_problem(query: str, where: str, says: str) -> None:
    async with ApiClient() as client:
        found, message = await refused(client, f"/api/runs?{query}", 400 if query.startswith("since") else 422)
    assert found == where
    assert message.startswith(says)


async def test_the_filters_are_described() -> None:
    async with ApiClient() as client:
        paths = (await client.get("/api/openapi.json")).json()["paths"]
    of_jobs = {each["name"]: each for each in paths["/api/jobs"]["get"]["parameters"] if each["in"] == "query"}
    of_runs = {each["name"]: each for each in paths["/api/runs"]["get"]["parameters"]}

    assert of_jobs.keys() == {"name", "kind", "tag", "state", "outcome", "view", "limit", "continuation"}
    assert of_jobs["kind"]["schema"]["items"]["enum"] == [*TARGETS_BY_KIND]
    assert of_jobs["state"]["schema"]["items"]["enum"] == ["enabled", "paused", "disabled"]
    assert of_runs.keys() == {"job", "name", "tag", "outcome", "from", "to", "limit", "continuation"}
    assert all(each["description"] for each in (*of_jobs.values(), *of_runs.values()))
