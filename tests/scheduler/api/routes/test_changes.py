"""GET /api/changes and /api/jobs/{name}/changes."""

from __future__ import annotations

import json

import pytest

from jobs.runs.states import JobStatus
from scheduler.catalog.catalog import Catalog, UnknownJob
from scheduler.changes.tracking import StateUpkeep
from scheduler.features.changes.queries import ChangeFilter, ChangeQueries
from scheduler.identity.principal import Principal, PrincipalKind, Role
from tests.jobs.running.run_parts import REFUSED, answer
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import START, entry

PAYMENTS = Principal(PrincipalKind.API_KEY, "payments", Role.VIEWER, (("team", "payments"),))


async def run(at: ApiClient, job: str = "checkout") -> None:
    await at.shop.clock.sleep(60)
    assert (await at.post(f"/api/jobs/{job}/run", wait="30s")).status_code == 200


@virtual_time
async def test_changes_are_listed_page_by_page_with_cause_and_run() -> None:
    async with ApiClient(answer(), REFUSED, REFUSED, answer(), jobs=[entry(retry={"attempts": 1})]) as at:
        for _ in range(4):
            await run(at)
        await at.post("/api/jobs/checkout/pause")
        await at.post("/api/jobs/checkout/resume")

        changes = await at.get_all("/api/changes", "changes", limit=2)
        of_job = (await at.get("/api/jobs/checkout/changes")).json()["changes"]
        down = (await at.get("/api/changes", state="down", job="checkout")).json()["changes"]

    assert [(change["number"], change["state"]) for change in changes] == [
        (5, "unknown"),
        (4, "paused"),
        (3, "up"),
        (2, "down"),
        (1, "up"),
    ]
    assert of_job == changes
    assert down == [changes[3]]
    assert down[0]["cause"]["code"] == "connection_refused"
    assert down[0]["run_url"] == f"/api/runs/{down[0]['run_id']}"
    assert (down[0]["previous"], down[0]["previous_since"]) == ("up", changes[4]["at"])
    assert down[0]["previous_seconds"] > 59


@virtual_time
async def test_filters_select_by_time_kind_and_tag() -> None:
    jobs = [entry("checkout", tags={"team": "payments"}), entry("search")]
    async with ApiClient(answer(), jobs=jobs) as at:
        await run(at)
        await run(at, "search")

        async def names(**filters: str) -> list[str]:
            return [change["job"] for change in (await at.get("/api/changes", **filters)).json()["changes"]]

        assert await names() == ["search", "checkout"]
        assert await names(tag="team=payments") == ["checkout"]
        assert await names(kind="dns") == []
        assert await names(kind="http", **{"from": "30s"}) == ["search"]


@virtual_time
async def test_invalid_parameters_and_unknown_jobs_are_rejected() -> None:
    async with ApiClient() as at:
        assert (await at.get("/api/changes", continuation="x")).status_code == 422
        assert (await at.get("/api/changes", state="open")).status_code == 400
        assert (await at.get("/api/changes", job="chekout")).status_code == 404
        assert (await at.get("/api/jobs/chekout/changes")).status_code == 404
        assert (await at.get("/api/jobs/checkout/changes")).json() == {"changes": [], "continuation": None}


@virtual_time
async def test_a_principal_with_tags_sees_the_changes_of_its_jobs_only() -> None:
    jobs = [entry("checkout", tags={"team": "payments"}), entry("search")]
    async with ApiClient(answer(), jobs=jobs) as at:
        await run(at)
        await run(at, "search")
        queries = ChangeQueries(at.shop.catalog, at.shop.changes, at.shop.repositories.health_histories)

        page = await queries.list_changes(PAYMENTS, ChangeFilter(), limit=50)

        assert [change.job for change in page.changes] == ["checkout"]
        with pytest.raises(UnknownJob):
            await queries.list_changes(PAYMENTS, ChangeFilter("search"), limit=50)


@virtual_time
async def test_definitions_and_ended_pauses_change_states() -> None:
    jobs = [entry("checkout"), entry("search"), entry("old", enabled=False)]
    async with ApiClient(answer(), jobs=jobs) as at:
        upkeep = StateUpkeep(at.shop.catalog, at.shop.pauses, at.shop.states, at.shop.clock)
        await run(at)
        await run(at, "search")
        await at.post("/api/jobs/checkout/pause")
        await upkeep.tick()
        at.shop.catalog.replace(Catalog([entry("checkout"), entry("old")]).snapshot)
        await at.shop.pauses.resume("checkout", at.shop.clock.now())  # by a process that ended before its next step
        await upkeep.tick()
        await upkeep.tick()

        states = {job: stored.change for job, stored in (await at.shop.states.current_states()).items()}

    assert {job: (change.state, change.previous, change.cause.code) for job, change in states.items()} == {
        "checkout": (JobStatus.UNKNOWN, JobStatus.PAUSED, "pause_ended"),
        "search": (JobStatus.REMOVED, JobStatus.UP, "job_removed"),
        "old": (JobStatus.UNKNOWN, JobStatus.DISABLED, "job_enabled"),
    }


@virtual_time
async def test_jobs_are_not_removed_by_a_set_that_could_not_be_read_completely() -> None:
    async with ApiClient(answer()) as at:
        await run(at)
        at.shop.catalog.replace(Catalog([]).snapshot)
        upkeep = StateUpkeep(at.shop.catalog, at.shop.pauses, at.shop.states, at.shop.clock, is_complete=False)

        await upkeep.tick()

        states = await at.shop.states.current_states()
    assert states["checkout"].change.state is JobStatus.UP
    assert states["checkout"].change.at > START


@virtual_time
async def test_changes_are_exported_as_json_lines_and_csv() -> None:
    async with ApiClient(answer()) as at:
        await run(at)

        lines = (await at.get("/api/exports/changes", state="up")).text.splitlines()
        table = (await at.get("/api/exports/changes", format="csv", job="checkout")).text.splitlines()
        missing = await at.get("/api/exports/changes", job="chekout")

    change = json.loads(lines[0])
    assert (change["job"], change["state"], change["cause_code"]) == ("checkout", "up", "succeeded")
    assert json.loads(lines[-1])["complete"] is True
    assert table[0].startswith("job,number,state,at,previous,")
    assert table[1].startswith("checkout,1,up,2026-03-01T12:01:00")
    assert missing.status_code == 404
