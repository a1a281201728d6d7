"""The same app behind the Functions host's own adapter, which differs from uvicorn in small ways."""

from __future__ import annotations

import json
from urllib.parse import parse_qsl, quote, urlsplit

import azure.functions as func
import pytest

from tests.scheduler.api.api_client import ApiClient

HOST = "https://scheduler.azurewebsites.net"


async def send_request(
    client: ApiClient, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> func.HttpResponse:
    url = HOST + path
    request = func.HttpRequest(method, url, params=dict(parse_qsl(urlsplit(url).query)), headers=headers, body=body)
    answer: func.HttpResponse = await func.AsgiMiddleware(client.app).handle_async(request)
    return answer


@pytest.mark.parametrize("encoded", [False, True])
async def test_a_run_is_found_by_its_id(encoded: bool) -> None:
    async with ApiClient() as client:
        run_id = await client.perform()

        answer = await send_request(
            client, "GET", f"/api/runs/{quote(run_id, safe='') if encoded else run_id}?code=KEY"
        )

    assert answer.status_code == 200
    assert json.loads(answer.get_body())["id"] == run_id


async def test_a_run_is_started() -> None:
    async with ApiClient() as client:
        answer = await send_request(client, "POST", "/api/jobs/checkout/run?code=KEY")

    assert answer.status_code == 202
    assert answer.headers["operation-location"].startswith("/api/runs/checkout@")


async def test_an_unforeseen_error_is_an_answer_and_not_a_failed_invocation() -> None:
    async with ApiClient() as client:

        async def breaks(*_: object, **__: object) -> None:
            raise RuntimeError

        client.shop.runs.list_page = breaks  # type: ignore[assignment, method-assign]
        answer = await send_request(client, "GET", "/api/runs")

    assert (answer.status_code, answer.mimetype) == (500, "application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_dashboard_and_its_files_are_served() -> None:
    async with ApiClient() as client:
        page = await send_request(client, "GET", "/api/dashboard?code=KEY")
        style = await send_request(client, "GET", "/api/dashboard/static/0/styles.css?code=KEY")

    assert (page.status_code, page.mimetype) == (200, "text/html; charset=utf-8")
    assert b"/api/runs?code=KEY" in page.get_body()
    assert (style.status_code, style.mimetype) == (200, "text/css; charset=utf-8")
    assert b".outages" in style.get_body()


RUN = "/api/jobs/checkout/run?code=KEY"


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Origin": "https://evil.example"},
        {"Host": "scheduler.azurewebsites.net", "Origin": "https://other.azurewebsites.net"},
        {"Referer": "https://evil.example/page"},
    ],
)
async def test_a_page_of_another_site_may_change_nothing(headers: dict[str, str]) -> None:
    async with ApiClient() as client:
        answer = await send_request(client, "POST", RUN, headers)

    assert (answer.status_code, answer.mimetype) == (403, "application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": HOST},
        {"Host": "scheduler.azurewebsites.net", "Origin": HOST},
        {"Host": "10.0.0.4:8080", "X-Forwarded-Host": "scheduler.azurewebsites.net", "Origin": HOST},
        {"Host": "10.0.0.4:8080", "X-Original-Host": "health.example", "Referer": "https://health.example/x"},
    ],
)
async def test_a_page_of_this_app_may_start_a_run_also_behind_a_gateway(headers: dict[str, str]) -> None:
    async with ApiClient() as client:
        assert (await send_request(client, "POST", RUN, headers)).status_code == 202


@pytest.mark.parametrize("headers", [None, {"Content-Length": "70000"}, {"Transfer-Encoding": "chunked"}])
async def test_a_body_that_is_too_large_is_refused(headers: dict[str, str] | None) -> None:
    async with ApiClient() as client:
        answer = await send_request(client, "POST", "/api/jobs/checkout/pause", headers, b"x" * 70_000)

    assert (answer.status_code, answer.mimetype) == (413, "application/problem+json")
