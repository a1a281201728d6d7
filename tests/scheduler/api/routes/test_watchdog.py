"""GET /api/watchdog: what does not move, as data."""

from __future__ import annotations

from tests.jobs.running.run_parts import Hang
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry


@virtual_time
async def test_it_reports_jobs_queue_runs_and_letters() -> None:
    async with ApiClient(jobs=[entry(schedule="every 60s"), entry("asked", None)]) as client:
        await client.enqueue("asked")
        await client.shop.clock.sleep(600)
        reported = (await client.get("/api/watchdog")).json()

    assert reported == {
        "at": "2026-03-01T12:10:00Z",
        "last_tick": None,
        "tick_gap_s": None,
        "jobs": {
            "watched": 1,
            "late": 0,
            "silent": 1,
            "stale": 0,
            "overdue": [
                {
                    "job": "checkout",
                    "state": "silent",
                    "since": "2026-03-01T12:01:00Z",
                    "last": None,
                    "url": "/api/jobs/checkout",
                }
            ],
        },
        "queue": {"waiting": 0, "oldest_s": None, "poison": 0},
        "open_runs": {"count": 1, "oldest": "2026-03-01T12:00:00Z"},
        "dead_letters": 0,
        "store_ms": 0.0,
        "concurrency": {"total": 9, "used": 0, "waiting": 0, "full_s": 0.0, "holders": [], "held_back": {}},
        "errors": [],
    }


@virtual_time
async def test_the_tick_gap_is_as_of_now() -> None:
    async with ApiClient() as client:
        began = client.shop.clock.now()

        async def ticked() -> object:
            return began

        client.watchdog.set_tick_source(ticked)  # type: ignore[arg-type]
        first = (await client.get("/api/watchdog")).json()
        await client.shop.clock.sleep(8)
        second = (await client.get("/api/watchdog")).json()

    assert (first["tick_gap_s"], second["tick_gap_s"]) == (0.0, 8.0)
    assert first["at"] == second["at"]


async def test_a_store_that_is_unavailable_is_reported_as_such() -> None:
    async with ApiClient() as client:
        client.break_store()
        reported = (await client.get("/api/watchdog")).json()

    assert sorted(reported["errors"]) == [f"{what}: the store is away" for what in ("dead letters", "runs", "store")]
    assert (reported["store_ms"], reported["open_runs"], reported["dead_letters"]) == (None, None, None)
    assert reported["queue"] == {"waiting": 0, "oldest_s": None, "poison": 0}


async def test_a_last_tick_that_cannot_be_requested_is_a_problem() -> None:
    async with ApiClient() as client:
        await client.get("/api/watchdog")
        client.watchdog.set_tick_source(lambda: client.shop.cursors.read("planned-until"))
        client.break_store()
        answer = await client.get("/api/watchdog")

    assert (answer.status_code, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.json()["detail"] == "the store is away"


@virtual_time
async def test_it_names_the_jobs_that_hold_the_places() -> None:
    async with ApiClient(Hang("body", 20.0), jobs=[entry(timeout={"attempt": "30s"})]) as client:
        client.shop.worker.submit(client.shop.ticket(1))
        await client.shop.clock.sleep(4)
        places = (await client.get("/api/watchdog")).json()["concurrency"]

    assert (places["used"], places["waiting"]) == (1, 0)
    assert places["holders"] == [{"job": "checkout", "host": "127.0.0.1:9", "slots": 1, "held_s": 3.0}]


async def test_a_parameter_that_it_does_not_know_is_refused() -> None:
    async with ApiClient() as client:
        assert (await client.get("/api/watchdog", job="checkout")).status_code == 400
