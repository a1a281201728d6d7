"""POST /api/jobs/pause, /resume, /run, /delete and /reset-circuit: what is done to each job of a selection."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.catalog.catalog import CatalogJob
from scheduler.stores.port import StoreUnavailable
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

CIRCUIT = {"consecutive_failures": 3}


def some_jobs() -> list[CatalogJob]:
    payments = {"tags": {"team": "payments"}}
    return [
        entry("cart", **payments),
        entry("checkout", circuit=CIRCUIT, **payments),
        entry("off", enabled=False, **payments),
        entry("search", circuit=CIRCUIT),
    ]


async def act(client: ApiClient, action: str, **body: Any) -> list[tuple[str, str, str | None]]:
    answer = await client.post_json(f"/api/jobs/{action}", body)
    assert answer.status_code == (202 if action == "run" else 200), answer.text
    return [(one["job"], one["result"], one["code"]) for one in answer.json()["jobs"]]


async def paused(client: ApiClient) -> list[str]:
    return [job["name"] for job in (await client.get("/api/jobs")).json()["jobs"] if job["pause"]]


@virtual_time
async def test_each_selected_job_is_paused_and_recorded() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        first = await act(client, "pause", tags=["team=payments"], reason="deployment")
        second = await act(client, "pause", names=["c*", "search"], reason="deployment")

        assert await paused(client) == ["cart", "checkout", "off", "search"]
        recorded = client.shop.audit.actions

    assert first == [(name, "done", None) for name in ("cart", "checkout", "off")]
    assert second == [
        ("cart", "unchanged", "already_paused"),
        ("checkout", "unchanged", "already_paused"),
        ("search", "done", None),
    ]
    assert recorded == [("job.pause", name) for name in ("cart", "checkout", "off", "search")]


@virtual_time
async def test_a_dry_run_lists_the_jobs_and_changes_nothing() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        for action in ("pause", "resume", "run", "reset-circuit"):
            assert await act(client, action, states=["enabled"], tags=["team"], dry_run=True) == [
                ("cart", "selected", None),
                ("checkout", "selected", None),
            ]
        assert (await paused(client), client.shop.audit.actions) == ([], [])
        assert (await client.get("/api/runs")).json()["runs"] == []


@virtual_time
async def test_only_paused_jobs_are_resumed() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        await act(client, "pause", names=["checkout"])

        assert await act(client, "resume", names=["cart", "checkout"]) == [
            ("cart", "unchanged", "not_paused"),
            ("checkout", "done", None),
        ]
        assert await paused(client) == []


@virtual_time
async def test_a_run_of_each_job_is_started() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        answer = (await client.post_json("/api/jobs/run", {"kinds": ["http"]})).json()
        await client.shop.worker.wait_until_idle()

        runs = (await client.get("/api/runs")).json()["runs"]

    assert {one["run_id"] for one in answer["jobs"]} == {run["id"] for run in runs}
    assert {run["job"] for run in runs} == {"cart", "checkout", "off", "search"}


@virtual_time
async def test_circuits_are_reset_where_a_job_has_one_that_is_not_reset() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        await client.post("/api/circuits/search/open")

        assert await act(client, "reset-circuit", all=True) == [
            ("cart", "refused", "no_circuit"),
            ("checkout", "unchanged", "already_closed"),
            ("off", "refused", "no_circuit"),
            ("search", "done", None),
        ]
        assert (await client.get("/api/circuits/search")).json()["state"] == "closed"


@virtual_time
async def test_a_shared_circuit_is_reset_once() -> None:
    jobs = [entry(name, circuit={**CIRCUIT, "group": "shop"}) for name in ("cart", "checkout")]
    async with ApiClient(jobs=jobs) as client:
        await client.post("/api/circuits/group:shop/open")

        assert await act(client, "reset-circuit", names=["*"]) == [("cart", "done", None), ("checkout", "done", None)]
        assert client.shop.audit.actions.count(("circuit.reset", "group:shop")) == 1


@pytest.mark.parametrize(
    ("body", "status", "complaint"),
    [
        ({}, 422, "body.all: there is no filter: give names, tags, kinds or states, or confirm all jobs"),
        ({"dry_run": True}, 422, "body.all: there is no filter"),
        ({"all": True, "tags": ["team"]}, 422, "body.all: all jobs and a filter exclude each other: tag team"),
        ({"kinds": ["ftp"]}, 400, "body.kinds: "),
        ({"names": ["a b"]}, 400, "body.names: 'a b' cannot match a job name"),
        ({"states": ["away"]}, 400, "body.states: "),
        ({"all": True, "limit": 501}, 400, "body.limit"),
        ({"name": "cart"}, 400, "body.name: unknown key"),
    ],
)
@virtual_time
async def test_a_selection_that_cannot_be_used_is_refused(body: Any, status: int, complaint: str) -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        refused = await client.post_json("/api/jobs/pause", body)

        assert (refused.status_code, await paused(client)) == (status, [])
        assert complaint in refused.json()["detail"]


@virtual_time
async def test_a_misspelt_name_is_reported() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        answer = (await client.post_json("/api/jobs/run", {"names": ["chekout"]})).json()

    assert answer["jobs"] == [
        {
            "job": "chekout",
            "result": "refused",
            "code": "unknown_job",
            "message": "There is no job named 'chekout', did you mean checkout?",
            "run_id": None,
        }
    ]


@virtual_time
async def test_pages_change_each_job_once() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        body: dict[str, Any] = {"all": True, "limit": 3}
        pages = []
        while True:
            page = (await client.post_json("/api/jobs/pause", body)).json()
            pages.append([one["job"] for one in page["jobs"]])
            if page["continuation"] is None:
                break
            body["continuation"] = page["continuation"]

    assert pages == [["cart", "checkout", "off"], ["search"]]


@virtual_time
async def test_a_store_that_fails_in_the_middle_leaves_a_continuation_that_repeats_the_job() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        client.shop.store.breaks_after = 3
        answer = await client.post_json("/api/jobs/pause", {"all": True})
        client.shop.store.breaks_after = None
        body = {"all": True, "continuation": answer.json()["continuation"]}
        rest = (await client.post_json("/api/jobs/pause", body)).json()

    *done, failed = answer.json()["jobs"]
    assert [one["result"] for one in done] == ["done"] * len(done)
    assert (bool(done), failed["result"], failed["code"]) == (True, "failed", "unavailable")
    assert [one["job"] for one in (*done, *rest["jobs"])] == ["cart", "checkout", "off", "search"]


@virtual_time
async def test_a_store_that_fails_at_the_first_job_is_a_problem() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        client.break_store()

        assert (await client.post_json("/api/jobs/run", {"all": True})).status_code == 503


@virtual_time
async def test_jobs_can_be_named_like_actions() -> None:
    async with ApiClient(jobs=[entry("pause"), entry("run")]) as client:
        assert (await client.post("/api/jobs/pause/pause")).json()["name"] == "pause"
        assert (await client.get("/api/jobs/run")).json()["name"] == "run"
        assert await paused(client) == ["pause"]


async def store(client: ApiClient, name: str, **more: Any) -> None:
    definition = {"name": name, "check": {"kind": "http", "url": "http://127.0.0.1:9/"}, **more}
    assert (await client.post_json("/api/jobs", definition)).status_code == 201


async def test_the_stored_jobs_of_a_selection_are_deleted_and_those_of_files_are_refused() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        for name in ("pay-a", "pay-b", "other"):
            await store(client, name, tags={"team": "other" if name == "other" else "payments"})

        dry_run = await act(client, "delete", tags=["team=payments"], dry_run=True)
        assert "pay-a" in client.shop.catalog
        answer = await client.post_json("/api/jobs/delete", {"tags": ["team=payments"]})

        assert list(client.shop.catalog.names()) == ["cart", "checkout", "off", "other", "search"]
        recorded = [action for action in client.shop.audit.actions if action[0] == "job.delete"]

    files = [(name, "refused", "read_only") for name in ("cart", "checkout", "off")]
    assert dry_run == [*files, ("pay-a", "selected", None), ("pay-b", "selected", None)]
    results = {one["job"]: (one["result"], one["message"]) for one in answer.json()["jobs"]}
    assert results["pay-a"] == results["pay-b"] == ("done", None)
    assert results["cart"][1] == "the job cart is defined in jobs.yaml:1, and job files are changed as files only"
    assert recorded == [("job.delete", "pay-a"), ("job.delete", "pay-b")]


async def test_jobs_are_deleted_after_the_selected_jobs_that_depend_on_them() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        await store(client, "a-first")
        await store(client, "b-then", depends_on=["a-first"])
        await store(client, "c-last", depends_on=["b-then"])
        refused = await act(client, "delete", names=["a-first", "b-then", "missing"])
        done = await act(client, "delete", names=["?-*"])

    assert refused == [
        ("missing", "refused", "unknown_job"),
        ("a-first", "refused", "conflict"),
        ("b-then", "refused", "conflict"),
    ]
    assert done == [(name, "done", None) for name in ("a-first", "b-then", "c-last")]


async def test_a_deletion_of_all_jobs_must_be_confirmed() -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        assert (await client.post_json("/api/jobs/delete", {})).status_code == 422


async def test_after_a_failure_of_the_store_every_job_that_is_left_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ApiClient(jobs=some_jobs()) as client:
        for name in ("x-1", "x-2", "x-3"):
            await store(client, name)
        commit, calls = client.shop.stored.commit, 0

        async def failing(*given: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > 1:
                raise StoreUnavailable("the store does not answer")
            return await commit(*given)

        monkeypatch.setattr(client.shop.stored, "commit", failing)
        assert await act(client, "delete", names=["x-*"]) == [
            ("x-1", "done", None),
            ("x-2", "failed", "unavailable"),
            ("x-3", "failed", "unavailable"),
        ]
