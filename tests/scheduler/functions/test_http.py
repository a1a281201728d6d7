"""HTTP functions in Microsoft's worker: the same API as everywhere, behind routes and keys of the platform."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from tests.parts.functions_worker import Reply
from tests.parts.http_target import HttpTarget
from tests.scheduler.functions.hosted import Hosted

MEDIA_TYPE = "application/problem+json"


@pytest.mark.parametrize("path", ["/api/health", "/api/health/live", "/api/health/ready"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health_is_answered_to_any_caller(hosted: Hosted, method: str, path: str) -> None:
    reply = await hosted.worker.http(method, path)
    # On a busy machine a probe of the store can take longer than health waits for it.
    until = time.monotonic() + 30
    while reply.status == 503 and time.monotonic() < until:
        await asyncio.sleep(0.5)
        reply = await hosted.worker.http(method, path)

    assert (reply.status, reply.function) == (200, "health")
    assert bool(reply.body) is (method == "GET")


async def test_health_names_every_part(hosted: Hosted) -> None:
    health = (await hosted.worker.http("GET", "/api/health")).json()

    assert (health["status"], health["environment"]) == ("ok", "prod")
    assert {"configuration", "store", "secrets", "ticks"} <= {part["name"] for part in health["parts"]}


async def test_jobs_are_listed(hosted: Hosted) -> None:
    reply = await hosted.worker.http("GET", "/api/jobs?limit=2", key="read")

    listed = reply.json()
    assert [job["name"] for job in listed["jobs"]] == ["checkout", "onDemand"]
    assert listed["continuation"]


async def test_the_function_key_may_stand_in_the_address(hosted: Hosted) -> None:
    reply = await hosted.worker.http("GET", "/api/jobs/checkout?code=key-of-read", key="read")

    assert (reply.status, reply.json()["name"]) == (200, "checkout")


async def test_a_run_that_is_requested_is_queued_and_then_performed(hosted: Hosted, target: HttpTarget) -> None:
    reply = await hosted.worker.http("POST", "/api/jobs/onDemand/run", key="operate")
    assert (reply.status, reply.json()["state"]) == (202, "queued")

    await hosted.deliver()

    run = (await hosted.worker.http("GET", reply.headers["operation-location"], key="read")).json()
    assert (run["state"], run["outcome"], run["trigger"]) == ("finished", "succeeded", "manual")
    assert len(target.requests) == 1


async def test_who_waits_for_a_run_gets_the_finished_one(hosted: Hosted) -> None:
    async def host() -> None:
        await hosted.hand_over(await hosted.queue.take_when_visible())

    reply, _ = await asyncio.gather(hosted.worker.http("POST", "/api/jobs/search/run?wait=10s", key="operate"), host())

    run = reply.json()
    assert (reply.status, run["state"], run["outcome"], run["status_code"]) == (200, "finished", "failed", 503)


async def test_runs_are_listed(hosted: Hosted) -> None:
    for job in ("checkout", "onDemand", "search"):
        await hosted.worker.http("POST", f"/api/jobs/{job}/run", key="operate")
    await hosted.deliver()

    reply = await hosted.worker.http("GET", "/api/runs?outcome=succeeded", key="read")

    assert sorted(run["job"] for run in reply.json()["runs"]) == ["checkout", "onDemand"]


async def test_of_two_runs_requested_at_the_same_time_one_is_performed(hosted: Hosted, target: HttpTarget) -> None:
    async def outcomes() -> list[str | None]:
        runs = (await hosted.worker.http("GET", "/api/runs?job=onDemand", key="read")).json()["runs"]
        return [run["outcome"] for run in runs]

    for _ in range(2):
        await hosted.worker.http("POST", "/api/jobs/onDemand/run", key="operate")
    gate = target.hold("/health")
    delivering = asyncio.create_task(hosted.deliver())
    async with asyncio.timeout(60):
        while "skipped" not in await outcomes():  # each look waits for Azurite
            pass
    gate.set()
    await delivering

    assert sorted(map(str, await outcomes())) == ["skipped", "succeeded"]
    assert len(target.requests) == 1


async def test_the_dashboard_comes_with_its_files_and_hands_the_key_on(hosted: Hosted) -> None:
    page = await hosted.worker.http("GET", "/api/dashboard?code=key-of-read", key="read")

    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    addresses = re.findall(r'(?:src|href)="(/api/dashboard/static/[^"]+)"', page.body.decode())
    assert len(addresses) >= 2
    assert all("code=key-of-read" in address for address in addresses)
    files = [await hosted.worker.http("GET", address, key="read") for address in addresses]
    assert [file.status for file in files] == [200] * len(files)
    assert all(file.body for file in files)


async def test_the_pages_of_a_job_and_a_run_take_the_key_of_read_and_hand_it_on(hosted: Hosted) -> None:
    await hosted.worker.http("POST", "/api/jobs/checkout/run", key="operate")
    await hosted.deliver()
    (run,) = (await hosted.worker.http("GET", "/api/runs?job=checkout", key="read")).json()["runs"]

    for path in ("/api/dashboard/jobs/checkout", f"/api/dashboard/runs/{run['id']}"):
        page = await hosted.worker.http("GET", f"{path}?code=key-of-read", key="read")
        assert (page.status, page.function) == (200, "read")
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        addresses = re.findall(r'(?:src|href)="(/[^"]+)"', page.body.decode())
        assert all("code=key-of-read" in address for address in addresses)
        assert (await hosted.worker.http("GET", path)).status == 401


async def test_a_browser_gets_a_page_for_a_job_that_does_not_exist(hosted: Hosted) -> None:
    reply = await hosted.worker.http(
        "GET", "/api/dashboard/jobs/nothing", key="read", headers={"accept": "text/html,*/*;q=0.8"}
    )

    assert (reply.status, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")


async def test_the_api_describes_itself(hosted: Hosted) -> None:
    reply = await hosted.worker.http("GET", "/api/openapi.json", key="read")

    assert "/api/jobs/{name}/run" in reply.json()["paths"]


@pytest.mark.parametrize(
    ("method", "path", "key", "status"),
    [
        ("GET", "/api/nothing", "read", 404),
        ("GET", "/api/jobs/nothing", "read", 404),
        ("GET", "/api/health/nothing", "health", 404),
        ("POST", "/api/jobs/nothing/run", "operate", 404),
        ("GET", "/api/runs?limit=0", "read", 400),
        ("PUT", "/api/jobs", "manage", 405),
        ("PATCH", "/api/jobs/checkout/run", "manage", 405),
        ("DELETE", "/api/jobs/checkout", "manage", 428),
        ("POST", "/api/jobs", "manage_jobs", 400),
        ("DELETE", "/api/runs", "manage", 405),
    ],
)
async def test_what_is_missing_or_not_possible_is_a_problem(
    hosted: Hosted, method: str, path: str, key: str, status: int
) -> None:
    reply = await hosted.worker.http(method, path, key=key)

    assert (reply.status, reply.headers["content-type"]) == (status, MEDIA_TYPE)
    assert reply.json()["status"] == status
    assert reply.json()["detail"]


async def test_every_answer_keeps_browsers_from_doing_harm(hosted: Hosted) -> None:
    replies: list[Reply] = [
        await hosted.worker.http("GET", path, key="read") for path in ("/api/health/live", "/api/jobs", "/api/nothing")
    ]

    for reply in replies:
        assert reply.headers["x-content-type-options"] == "nosniff"
        assert reply.headers["cache-control"] == "no-store"
