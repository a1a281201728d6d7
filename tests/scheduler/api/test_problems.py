"""What is wrong is answered as problem+json that says what, where and how to mend it."""

from __future__ import annotations

import logging
import subprocess
import sys

import httpx
import pytest
from fastapi import FastAPI

from scheduler.api.problems import add_problem_handlers
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry


def problem_of(answer: httpx.Response, status: int) -> dict[str, object]:
    """The body of a proper problem."""
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, object] = answer.json()
    assert (body["type"], body["status"], body["instance"]) == ("about:blank", status, answer.request.url.path)
    return body


@pytest.mark.parametrize(
    ("address", "complaint", "status"),
    [
        ("/api/runs?limit=0", "query.limit: '0' is too small: at least 1", 400),
        ("/api/runs?limit=501", "query.limit: '501' is too large: at most 500", 400),
        ("/api/runs?limit=", "query.limit: '' is not a whole number", 400),
        ("/api/jobs?limit=many", "query.limit: 'many' is not a whole number", 400),
        ("/api/jobs?limit=1e999", "query.limit: '1e999' is not a whole number", 400),
        (f"/api/jobs?continuation={'x' * 501}", "query.continuation: it is too long: at most 500 characters", 400),
        (f"/api/runs/{'x' * 201}", "path.run_id: it is too long: at most 200 characters", 400),
        ("/api/runs?outcome=faild", "query.outcome: 'faild' is not allowed, did you mean failed?", 400),
        ("/api/runs?outcome=", "query.outcome: '' is not allowed; allowed: succeeded, failed, timed_out", 400),
        ("/api/runs?job=a%20b", "query.job: 'a b' has the wrong form; letters, digits, dot, - and _", 400),
        ("/api/stats?window=1y", "query.window: '1y' is not allowed; allowed: 24h, 7d, 30d", 400),
        ("/api/stats?month=2026-3", "query.month: '2026-3' has the wrong form; calendar month such as 2026-11", 400),
        ("/api/changes?state=dwn", "query.state[0]: 'dwn' is not allowed, did you mean down?", 400),
        ("/api/runs?continuation=xyz", "query.continuation: 'xyz' is not a continuation of this list", 422),
        ("/api/dead-letters?continuation=xyz", "query.continuation: 'xyz' is not a continuation of this list", 422),
        ("/api/runs?outcom=failed", "query.outcom: unknown parameter, did you mean outcome?", 400),
        (
            "/api/runs?since=today",
            "query.since: unknown parameter; known parameters: job, name, tag, outcome, from, to, limit",
            400,
        ),
        ("/api/jobs/checkout?limit=3", "query.limit: unknown parameter", 400),
        ("/api/runs?limit=3&limit=4", "query.limit: the parameter is given more than once", 400),
    ],
)
async def test_a_parameter_that_cannot_be_used_is_refused_with_its_place(
    address: str, complaint: str, status: int
) -> None:
    async with ApiClient() as client:
        body = problem_of(await client.get(address), status)

    assert str(body["detail"]).startswith(complaint)
    (error,) = body["errors"]  # type: ignore[misc]
    assert complaint.startswith(error["location"])  # type: ignore[has-type]


async def test_everything_that_is_wrong_is_reported_at_once() -> None:
    async with ApiClient() as client:
        body = problem_of(await client.get("/api/runs?limit=0&job=%2F"), 400)

    assert [error["location"] for error in body["errors"]] == ["query.job", "query.limit"]  # type: ignore[attr-defined]


async def test_a_continuation_of_another_list_is_refused() -> None:
    async with ApiClient() as client:
        await client.perform()
        await client.perform(seconds=1)
        continuation = (await client.get("/api/runs", limit=1)).json()["continuation"]

        body = problem_of(await client.get("/api/runs", job="checkout", continuation=continuation), 422)

    assert "not a continuation of this list" in str(body["detail"])


@pytest.mark.parametrize("address", ["/api/jobs", "/api/runs", "/api/dashboard", "/api/health"])
async def test_a_function_key_in_the_address_is_no_unknown_parameter(address: str) -> None:
    async with ApiClient() as client:
        assert (await client.get(address, code="KEY")).status_code == 200


@pytest.mark.parametrize("address", ["/api", "/api/nothing", "/favicon.ico", "/api/dashboard/static/0/nothing.js"])
async def test_an_address_where_nothing_is_reports_where_to_look(address: str) -> None:
    async with ApiClient() as client:
        body = problem_of(await client.get(address), 404)

    assert body["title"] == "Not Found"
    assert "/api/openapi.json" in str(body["detail"])


@pytest.mark.parametrize("address", ["/api/dashboard/static/0/../../app.py", "/api/dashboard/static/0/%2e%2e/app.py"])
async def test_only_static_files_are_served(address: str) -> None:
    async with ApiClient() as client:
        assert (await client.get(address)).status_code == 404


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("DELETE", "/api/jobs", "GET, HEAD, POST"),
        ("GET", "/api/jobs/checkout/run", "POST"),
        ("POST", "/api/runs", "GET, HEAD"),
        ("PUT", "/api/health", "GET, HEAD"),
        ("OPTIONS", "/api/dead-letters/x", "GET, HEAD, DELETE"),
        ("PUT", "/api/dead-letters/replay", "POST"),
        ("DELETE", "/api/ping/x", "GET, HEAD, POST"),
        ("OPTIONS", "/", "GET, HEAD"),
        ("POST", "/api/openapi.json", "GET, HEAD"),
        ("POST", "/api/dashboard", "GET, HEAD"),
    ],
)
async def test_a_method_that_is_not_possible_is_refused_with_what_is(method: str, address: str, allowed: str) -> None:
    async with ApiClient() as client:
        answer = await client.request(method, address)

    problem = answer.json()
    assert problem["detail"] == f"The method {method} is not allowed for this path. Use {allowed}."
    assert answer.status_code == 405
    assert answer.headers["Allow"] == allowed


async def test_a_static_file_cannot_be_written() -> None:
    async with ApiClient() as client:
        answer = await client.request("POST", "/api/dashboard/static/0/styles.css")

    assert problem_of(answer, 405)["detail"] == "The method POST is not allowed for this path. Use GET, HEAD."


@pytest.mark.parametrize(
    "address", ["/api/jobs", "/api/jobs/checkout", "/api/runs", "/api/runs/checkout@20260301T120000.000Z"]
)
async def test_a_store_that_is_unavailable_is_reported_with_when_to_come_back(address: str) -> None:
    async with ApiClient() as client:
        client.break_store()
        answer = await client.get(address)

    assert problem_of(answer, 503)["detail"] == "the store is away"
    assert answer.headers["Retry-After"] == "5"


async def test_a_run_that_cannot_be_stored_is_not_started() -> None:
    async with ApiClient() as client:
        client.break_store()
        problem_of(await client.post("/api/jobs/checkout/run"), 503)

        assert client.shop.worker.in_flight_count == 0


async def test_an_error_that_no_one_foresaw_reports_nothing_of_the_inside(caplog: pytest.LogCaptureFixture) -> None:
    async with ApiClient() as client:

        async def breaks(*_: object, **__: object) -> None:
            raise RuntimeError("inside")

        client.shop.runs.list_page = breaks  # type: ignore[assignment, method-assign]
        with caplog.at_level(logging.ERROR, "scheduler.api"):
            answer = await client.get("/api/runs")

    assert (
        problem_of(answer, 500)["detail"] == "The scheduler failed to process the request. The log contains the error."
    )
    assert "inside" not in answer.text
    (record,) = caplog.records
    assert (record.getMessage(), record.exc_info is not None) == ("GET /api/runs failed", True)


async def test_what_a_caller_wrote_comes_back_on_one_line() -> None:
    async with ApiClient(jobs=[entry()]) as client:
        body = problem_of(await client.get("/api/runs?a%0Ab=1"), 400)

    assert "\n" not in str(body["detail"])


async def test_an_app_without_pages_gives_a_browser_a_problem() -> None:
    api = FastAPI()
    add_problem_handlers(api)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(api), base_url="http://test") as client:
        problem_of(await client.get("/nowhere", headers={"accept": "text/html"}), 404)


def test_problems_do_not_know_the_dashboard() -> None:
    program = "import sys, scheduler.api.problems; print([name for name in sys.modules if 'dashboard' in name])"

    assert subprocess.check_output([sys.executable, "-c", program], text=True).strip() == "[]"
