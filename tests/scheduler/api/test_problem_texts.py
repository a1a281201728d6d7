"""The text of every problem that the API answers with, as a snapshot."""

from __future__ import annotations

import re

import httpx
from syrupy.assertion import SnapshotAssertion

from scheduler.api.unavailable_app import create_unavailable_api
from scheduler.dispatch.port import DispatchError
from tests.jobs.running.virtual_time import virtual_time
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

LIMIT = {"from": "2026-03-01T11:00:00Z", "to": "2026-03-01T12:00:00Z", "limit": 5}
PATCH_TYPE = {"content-type": "application/merge-patch+json"}
REQUESTS: list[tuple[str, str, dict[str, object]]] = [
    ("GET", "/api/nothing", {}),
    ("DELETE", "/api/jobs/checkout", {}),
    ("GET", "/api/jobs/chekout", {}),
    ("POST", "/api/jobs/other/run", {}),
    ("GET", "/api/runs/checkout@20200101T000000.000Z", {}),
    ("GET", "/api/runs?outcom=failed&limit=0&limit=1", {}),
    ("GET", "/api/runs?outcome=faild", {}),
    ("GET", "/api/runs?limit=many", {}),
    ("GET", "/api/runs?from=yesterday", {}),
    ("GET", "/api/runs?from=2026-03-02T00:00:00Z&to=2026-03-01T00:00:00Z", {}),
    ("GET", "/api/runs?continuation=xyz", {}),
    ("GET", "/api/jobs?kind=htp&tag==x", {}),
    ("GET", "/api/jobs?name=a/b", {}),
    ("GET", "/api/dead-letters?continuation=xyz", {}),
    ("POST", "/api/jobs/checkout/run?wait=5", {}),
    ("POST", "/api/jobs/checkout/run?wait=1h", {}),
    ("POST", "/api/jobs/checkout/pause", {"json": {"until": "2020-01-01T00:00:00Z"}}),
    ("POST", "/api/jobs/checkout/pause", {"json": {"until": "tomorrow", "reasn": "x"}}),
    ("POST", "/api/jobs/checkout/pause", {"content": b"{", "headers": {"content-type": "application/json"}}),
    ("POST", "/api/jobs/checkout/backfill", {"json": LIMIT}),
    ("POST", "/api/jobs/checkout/backfill", {"json": {"from": "2099-01-01T00:00:00Z"}}),
    ("POST", "/api/jobs/on-demand/backfill", {"json": LIMIT}),
    ("GET", "/api/jobs/checkout/heartbeat", {}),
    ("POST", "/api/runs/checkout@20200101T000000.000Z/cancel", {}),
    ("GET", "/api/circuits/chekout", {}),
    ("POST", "/api/dead-letters/replay", {"json": {}}),
    ("POST", "/api/dead-letters/none/replay", {}),
    ("DELETE", "/api/jobs", {}),
    ("POST", "/api/secrets/nothing/refresh", {}),
    ("GET", "/api/ping/unknown-token", {}),
    ("POST", "/api/jobs/checkout/run", {"headers": {"sec-fetch-site": "cross-site"}}),
    ("POST", "/api/jobs/checkout/run", {"headers": {"origin": "https://evil.example"}}),
    ("POST", "/api/jobs/checkout/pause", {"content": b"x" * 70_000}),
]


DEFINITION_REQUESTS = [
    ("DELETE", "/api/jobs/checkout", {"headers": {"if-match": "*"}}),
    ("DELETE", "/api/jobs/checkout", {"headers": {"if-match": "v1"}}),
    ("PATCH", "/api/jobs/chekout", {"json": {}, "headers": {"if-match": "*"} | PATCH_TYPE}),
    ("PUT", "/api/jobs/new", {"json": {"check": {"kind": "htp"}}, "headers": {"if-none-match": "*"}}),
    ("PUT", "/api/jobs/new", {"json": {"check": {}}, "headers": {"if-match": '"v1-0"'}}),
    ("PUT", "/api/jobs/new", {"json": [], "headers": {"if-none-match": '"v1-0"'}}),
    ("POST", "/api/jobs", {"json": {"name": "checkout", "check": {"url": "http://127.0.0.1:9/"}}}),
]


@virtual_time
async def test_the_problem_of_each_request(text_snapshot: SnapshotAssertion) -> None:
    async with ApiClient(jobs=[entry("checkout"), entry("on-demand", schedule=None)]) as client:
        texts = [text_of(await client.request(method, path, **options)) for method, path, options in REQUESTS]

    assert "\n".join(texts) == text_snapshot


async def test_the_problem_of_each_request_about_a_definition(text_snapshot: SnapshotAssertion) -> None:
    async with ApiClient(jobs=[entry("checkout")]) as client:
        texts = [
            text_of(await client.request(method, path, **options)) for method, path, options in DEFINITION_REQUESTS
        ]

    assert "\n".join(texts) == text_snapshot


@virtual_time
async def test_the_problem_of_each_state(text_snapshot: SnapshotAssertion) -> None:
    async with ApiClient() as client:
        finished = await client.perform()
        texts = [text_of(await client.post(f"/api/runs/{finished}/cancel"))]
        client.dispatch._submit = _fail_dispatch
        texts.append(text_of(await client.post("/api/jobs/checkout/run")))
        client.break_store()
        texts.append(text_of(await client.get("/api/runs")))
        client.shop.runs.list_page = _fail  # type: ignore[assignment, method-assign]
        texts.append(text_of(await client.get("/api/runs")))

    assert "\n".join(texts) == text_snapshot


async def test_the_problems_while_the_program_cannot_open(text_snapshot: SnapshotAssertion) -> None:
    transport = httpx.ASGITransport(create_unavailable_api("The configuration has a problem."))
    async with httpx.AsyncClient(transport=transport, base_url="http://scheduler.test") as client:
        texts = [text_of(await client.get(path)) for path in ("/api/jobs", "/api/health", "/api/ping/token")]

    assert "\n".join(texts) == text_snapshot


def text_of(response: httpx.Response) -> str:
    """Format the request and its problem, with random parts of ids replaced."""
    problem = response.json()
    path = response.request.url.raw_path.decode()
    lines = [f"{response.request.method} {path}", f"{problem['status']} {problem['title']}: {problem['detail']}"]
    lines += [f"  {error['location']}: {error['message']} ({error.get('hint')})" for error in problem.get("errors", ())]
    return re.sub(r"Z\.[0-9a-f]{8}", "Z.RANDOM", "\n".join(lines)) + "\n"


async def _fail(*_: object, **__: object) -> None:
    raise RuntimeError("inside")


def _fail_dispatch(*_: object) -> None:
    raise DispatchError("the queue is unavailable")
