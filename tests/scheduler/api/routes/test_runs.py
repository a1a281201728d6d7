"""GET /api/runs and /api/runs/{id}."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from jobs.runs import ErrorClass, Outcome, Phases
from jobs.trace_ids import trace_id_of
from tests.jobs.running.run_parts import REFUSED, Hang, answer, broken
from tests.jobs.running.virtual_time import virtual_time
from tests.parts.timing import computes_below
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry
from tests.scheduler.stores.samples import run_of, ticket


@virtual_time
async def test_a_run_reports_what_happened_when_and_how_long_it_took() -> None:
    async with ApiClient(answer(503)) as client:
        run_id = await client.perform()

        (run,) = (await client.get("/api/runs")).json()["runs"]

    attempts = run.pop("attempts")
    assert run == {
        "id": run_id,
        "job": "checkout",
        "trigger": "schedule",
        "state": "finished",
        "outcome": "failed",
        "due_at": "2026-03-01T12:00:00Z",
        "started_at": "2026-03-01T12:00:00Z",
        "finished_at": run["finished_at"],
        "lateness_ms": 0.0,
        "waits": [],
        "duration_ms": run["duration_ms"],
        "response_time_ms": 12.0,
        "status_code": 503,
        "error": "unexpected_status",
        "message": run["message"],
        "reason": None,
        "attempt_count": 3,
        "retried": True,
        "degraded": False,
        "starved": False,
        "endpoint": "http://127.0.0.1:9/",
        "generation": run["generation"],
        "correlation_id": run_id,
        "trace_id": f"{trace_id_of(run_id):032x}",
        "tags": {},
        "url": f"/api/runs/{run_id}",
    }
    assert "503" in run["message"]
    assert [(tried["number"], tried["status_code"], tried["error"]) for tried in attempts] == [
        (1, 503, "unexpected_status"),
        (2, 503, "unexpected_status"),
        (3, 503, "unexpected_status"),
    ]
    assert attempts[0]["failures"] == [
        {"expectation": "status", "expected": "2xx", "observed": "503", "severity": "fail"}
    ]
    assert attempts[0]["phases"]["total_ms"] == 12.0
    assert attempts[0]["wait_ms"] > 0
    assert attempts[2]["wait_ms"] is None


async def test_a_run_that_was_retried_shows_each_attempt_in_the_list_too() -> None:
    async with ApiClient(REFUSED, answer(), jobs=[entry(retry={"initial": "1ms"})]) as client:
        await client.perform()

        (run,) = (await client.get("/api/runs")).json()["runs"]

    assert (run["outcome"], run["attempt_count"], run["retried"]) == ("succeeded", 2, True)
    assert [tried["error"] for tried in run["attempts"]] == ["connection_refused", None]


async def test_a_run_is_the_same_alone_and_in_the_list() -> None:
    async with ApiClient() as client:
        run_id = await client.perform()

        assert (await client.get(f"/api/runs/{run_id}")).json() == (await client.get("/api/runs")).json()["runs"][0]


async def test_a_queued_run_has_no_outcome_yet() -> None:
    async with ApiClient() as client:
        await client.enqueue()

        (run,) = (await client.get("/api/runs")).json()["runs"]

    assert (run["state"], run["outcome"], run["started_at"], run["attempts"]) == ("queued", None, None, [])


@virtual_time
async def test_runs_are_listed_newest_first() -> None:
    async with ApiClient() as client:
        ids = [await client.perform(seconds=seconds) for seconds in (-9, -3, -5)]

        listed = [run["id"] for run in (await client.get("/api/runs")).json()["runs"]]

    assert listed == [ids[1], ids[2], ids[0]]


@virtual_time
async def test_runs_are_filtered_by_job_and_by_outcome() -> None:
    jobs = [entry("good"), entry("bad", retry={"attempts": 1})]
    async with ApiClient(answer(), answer(500), answer(), jobs=jobs) as client:
        ids = [await client.perform("good"), await client.perform("bad"), await client.perform("bad", 1)]

        of_job = (await client.get("/api/runs", job="bad")).json()["runs"]
        failed = (await client.get("/api/runs", outcome="failed")).json()["runs"]
        both = (await client.get("/api/runs", job="bad", outcome="succeeded")).json()["runs"]

    assert [run["id"] for run in of_job] == [ids[2], ids[1]]
    assert [run["id"] for run in failed] == [ids[1]]
    assert [run["id"] for run in both] == [ids[2]]


async def test_runs_are_filtered_by_patterns_of_names_queued_ones_too() -> None:
    names = ("pay-api", "pay-web", "search")
    async with ApiClient(jobs=[entry(name) for name in names]) as client:
        finished = {}
        for number, name in enumerate(names):
            due = ticket(name, -number)
            await client.store_finished(due, run_of(due))
            finished[name] = due.id
        queued = [(await client.enqueue(name)).ticket.id for name in ("pay-api", "search")]

        async def listed(**query: Any) -> list[str]:
            return [run["id"] for run in (await client.get("/api/runs", **query)).json()["runs"]]

        assert await listed(name="pay-*") == [queued[0], finished["pay-api"], finished["pay-web"]]
        assert await listed(name=["*-web", "sea???"]) == [queued[1], finished["pay-web"], finished["search"]]
        assert await listed(name="pay-*", job="pay-web") == [finished["pay-web"]]
        assert await listed(name="pay-*", job="search") == await listed(name="none*") == []
        exported = await client.get("/api/exports/runs", name="*web", format="csv")
        assert [line.split(",")[0] for line in exported.text.splitlines()[1:]] == [finished["pay-web"], "# complete"]
        assert (await client.get("/api/runs", name="a b")).status_code in (400, 422)


@virtual_time
async def test_a_late_run_reports_what_it_waited_for() -> None:
    group: dict[str, Any] = {"concurrency_group": {"name": "payments", "limit": 1, "wait": "20s"}}
    async with ApiClient(Hang("body", 4.0), jobs=[entry("slow", **group), entry("late", **group)]) as client:
        client.shop.worker.submit_batch([client.shop.ticket(1, "slow"), late := client.shop.ticket(2, "late")])
        await client.shop.worker.wait_until_idle()

        run = (await client.get(f"/api/runs/{late.id}")).json()
        listed = (await client.get("/api/runs", job="late")).json()["runs"]

    assert run["waits"] == [
        {"reason": "place", "duration_ms": run["lateness_ms"], "detail": "limit of concurrency group payments"}
    ]
    assert [one["waits"] for one in listed] == [run["waits"]]


@virtual_time
@pytest.mark.parametrize("outcome", ["queued", "running"])
async def test_runs_that_are_not_finished_can_be_requested(outcome: str) -> None:
    async with ApiClient(Hang("body", 5.0)) as client:
        await client.enqueue(seconds=-10)
        client.shop.worker.submit(client.shop.ticket())
        await client.shop.clock.sleep(0.1)

        runs = (await client.get("/api/runs", outcome=outcome)).json()["runs"]

    assert [run["state"] for run in runs] == [outcome]


@pytest.mark.parametrize("query", [{}, {"job": "a"}, {"outcome": "failed"}, {"name": "?"}, {"name": "b*"}])
@pytest.mark.parametrize("limit", [1, 4, 500])
async def test_paging_meets_every_run_once(limit: int, query: dict[str, str]) -> None:
    async with ApiClient(jobs=[entry("a"), entry("b")]) as client:
        for number in range(12):
            # Every 10 hours: several days are passed over.
            due = ticket("ab"[number % 2], -36_000 * number)
            await client.store_finished(due, run_of(due, Outcome.FAILED if number % 3 else Outcome.SUCCEEDED))

        runs = await client.get_all("/api/runs", "runs", limit=limit, **query)

    ids = [run["id"] for run in runs]
    expected = {"": 12, "job=a": 6, "outcome=failed": 8, "name=?": 12, "name=b*": 6}
    assert len(ids) == len(set(ids)) == expected["".join(f"{name}={value}" for name, value in query.items())]
    assert ids == [run["id"] for run in sorted(runs, key=lambda run: run["due_at"], reverse=True)]


async def test_runs_of_a_job_that_is_gone_are_still_there() -> None:
    async with ApiClient() as client:
        gone = ticket("gone")
        await client.store_finished(gone, run_of(gone))

        assert [run["id"] for run in (await client.get("/api/runs", job="gone")).json()["runs"]] == [gone.id]


async def test_a_job_that_never_was_is_a_slip_and_not_an_empty_list() -> None:
    async with ApiClient() as client:
        answered = await client.get("/api/runs", job="checkuot")

    assert answered.status_code == 404
    assert "Did you mean checkout?" in answered.json()["detail"]


async def test_a_run_is_found_by_its_id_raw_and_percent_encoded() -> None:
    async with ApiClient() as client:
        run_id = await client.perform()

        found = [await client.get(f"/api/runs/{form}") for form in (run_id, quote(run_id, safe=""))]

    assert "%40" in str(found[1].request.url)
    assert [run.json()["id"] for run in found] == [run_id, run_id]


@pytest.mark.parametrize("run_id", ["checkout@20260301T120000.000Z", "checkout", "@", "checkout@now", "%00", "a%2Fb"])
async def test_an_unknown_run_is_not_found(run_id: str) -> None:
    async with ApiClient() as client:
        answered = await client.get(f"/api/runs/{run_id}")

    assert answered.status_code == 404
    assert answered.headers["content-type"] == "application/problem+json"


async def test_an_error_class_and_a_failed_phase_are_reported() -> None:
    unavailable = broken(ErrorClass.DNS_FAILURE, "unknown.host is not known.")
    async with ApiClient(unavailable, jobs=[entry(retry={"attempts": 1})]) as client:
        run_id = await client.perform()

        run = (await client.get(f"/api/runs/{run_id}")).json()

    assert (run["error"], run["message"], run["status_code"]) == ("dns_failure", "unknown.host is not known.", None)
    assert run["attempts"][0]["phases"] == {
        "dns_ms": None, "connect_ms": None, "tls_ms": None, "first_byte_ms": None, "total_ms": Phases().total_ms,
    }  # fmt: skip


async def test_a_page_of_500_runs_is_quick() -> None:
    async with ApiClient() as client:
        for number in range(501):
            due = ticket(seconds=number)
            await client.store_finished(due, run_of(due))

        with computes_below(1):
            page = (await client.get("/api/runs", limit=500, job="checkout")).json()

    assert len(page["runs"]) == 500
    assert page["continuation"]


async def test_a_run_that_is_degraded_reports_it_and_why() -> None:
    slow = {"response_time_below": "1ms", "severity": "degraded"}
    async with ApiClient(answer(), jobs=[entry(expect=[slow])]) as client:
        await client.perform()

        (run,) = (await client.get("/api/runs")).json()["runs"]

    assert (run["outcome"], run["error"], run["degraded"]) == ("succeeded", None, True)
    assert run["message"].startswith("Degraded: response_time_below")
    assert run["attempts"][0]["failures"][0]["severity"] == "degraded"
