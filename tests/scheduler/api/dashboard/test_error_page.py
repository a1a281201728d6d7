"""What is wrong, as a page for browsers; programs get problem+json at the same addresses."""

from __future__ import annotations

import httpx
import pytest

from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.api.dashboard.page_text import find_links, has_inline_code, visible_text
from tests.scheduler.fakes import entry

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"


async def requested(client: ApiClient, path: str, accept: str = BROWSER) -> httpx.Response:
    return await client.request("GET", path, headers={"accept": accept})


@pytest.mark.parametrize(
    ("path", "output"),
    [
        ("/api/dashboard/jobs/chekout", "There is no job named 'chekout'. Did you mean checkout?"),
        ("/api/dashboard/runs/checkout@20260301T120000.000Z", "There is no run 'checkout@20260301T120000.000Z'"),
        ("/api/dashboard/runs/nonsense", "There is no run 'nonsense'"),
        ("/api/jobs/chekout", "There is no job named 'chekout'. Did you mean checkout?"),
        ("/api/nowhere", "There is no route with this path."),
        ("/nowhere", "There is no route with this path."),
    ],
)
async def test_a_browser_gets_a_page_that_leads_back(path: str, output: str) -> None:
    async with ApiClient(jobs=[entry()]) as client:
        answer = await requested(client, path)

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "Accept"
    assert "Not Found" in visible_text(answer.text)
    assert output in visible_text(answer.text)
    assert "/api/dashboard" in find_links(answer.text)
    assert not has_inline_code(answer.text)


@pytest.mark.parametrize("accept", ["*/*", "application/json", "application/json, text/html", "", "text/html;q=0, */*"])
@pytest.mark.parametrize("path", ["/api/dashboard/jobs/nope", "/api/jobs/nope", "/nowhere"])
async def test_a_program_gets_a_problem(path: str, accept: str) -> None:
    async with ApiClient() as client:
        answer = await requested(client, path, accept)

    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")


async def test_a_ping_is_answered_by_a_problem_to_each_caller() -> None:
    async with ApiClient() as client:
        assert (await requested(client, "/api/ping/nope")).headers["content-type"] == "application/problem+json"


async def test_the_page_of_a_missing_job_hands_on_the_function_key() -> None:
    async with ApiClient() as client:
        answer = await requested(client, "/api/dashboard/jobs/nope?code=KEY")

    assert all("code=KEY" in address for address in find_links(answer.text))


async def test_what_was_requested_is_text_on_the_page() -> None:
    async with ApiClient() as client:
        answer = await requested(client, "/api/dashboard/jobs/%3Cscript%3Ealert(1)%3C%2Fscript%3E")

    assert answer.status_code == 404
    assert "<script>alert" not in answer.text


async def test_a_bad_parameter_is_a_page_too() -> None:
    async with ApiClient() as client:
        answer = await requested(client, "/api/dashboard?stat=down")

    assert answer.status_code == 400
    assert "query.stat: unknown parameter, did you mean state?" in visible_text(answer.text)


async def test_the_page_of_a_missing_job_leads_to_a_similar_one_and_to_a_search_and_names_no_route() -> None:
    async with ApiClient(jobs=[entry("checkout-api")]) as client:
        page = (await requested(client, "/api/dashboard/jobs/chekout-api")).text

    assert "/api/dashboard/jobs/checkout-api" in find_links(page)
    assert 'type="search" name="q"' in page
    assert "GET /api" not in visible_text(page)
