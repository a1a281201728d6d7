"""One running `serve`, asked over HTTP what nobody should ask, and by a hundred at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import pytest
import pytest_asyncio

from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Place:
    """The running program and its target."""

    def __init__(self, host: Host, target: HttpTarget) -> None:
        self.host, self.target = host, target

    async def refused(self, method: str, path: str, **options: Any) -> tuple[int, str]:
        """The status and the detail of a refusal, once it is seen to be a proper problem."""
        answer = await self.host.client.request(method, path, **options)
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert problem["status"] == answer.status_code
        assert "Traceback" not in answer.text
        return answer.status_code, problem["detail"]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with HttpTarget() as target:
        target.on("/slow", delay=0.3)
        target.on("/odd", 500, headers={"x-odd": "Grüße"}, body="Grüße 日本 \x00\x1b[31m 🎉")
        target.on("/wide", headers={f"x-{number}": "v" * 900 for number in range(60)})
        jobs = {
            "checkout": job(f"{target.url}/checkout"),
            "paged": job(f"{target.url}/paged"),
            "slow": job(f"{target.url}/slow"),
            "beside": job(f"{target.url}/slow", overlap="allow"),
            "each-second": job(f"{target.url}/each", "* * * * * *"),
            "wide": job(f"{target.url}/wide", expect=[{"header": "x-59", "matches": "^v+$"}]),
            "A.b-c_9": job(f"{target.url}/name?grüße=日本"),
            "odd": job(
                f"{target.url}/odd",
                check={
                    "url": f"{target.url}/odd",
                    "method": "POST",
                    "headers": {"X-Name": "Grüße 日本"},
                    "body": {"json": {"grüße": "日本🎉"}},
                },
                expect=[{"body_contains": "日本"}, {"json": "$.a", "equals": "ü"}],
            ),
        }
        async with embedded(tmp_path_factory.mktemp("api"), jobs) as host:
            yield Place(host, target)
            assert await host.stop() < 15
    assert host.program.stderr == ""
    assert "Traceback" not in host.program.stdout


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("GET", "/api/jobs/chekout", 404, ("no job named 'chekout'", "Did you mean checkout?", "GET /api/jobs")),
        ("POST", "/api/jobs/nothing-like-it/run", 404, ("no job named", "GET /api/jobs lists the jobs")),
        ("GET", "/api/jobs/%F0%9F%8E%89", 404, ("no job named",)),
        ("GET", "/api/jobs/a%00b%0Ac", 404, (r"\x00", r"\n")),
        ("POST", "/api/jobs/checkout/run?wait=1h", 400, ("query.wait", "1h exceeds the maximum", "3m20s", "by its id")),
        ("POST", "/api/jobs/checkout/run?wait=5", 400, ("query.wait", "500ms, 10s, 2m")),
        ("POST", "/api/jobs/checkout/run?wait=1s&wait=2s", 400, ("query.wait", "more than once")),
        ("GET", "/api/runs?limit=0", 400, ("query.limit", "at least 1")),
        ("GET", "/api/runs?limit=501", 400, ("query.limit", "at most 500")),
        ("GET", "/api/runs?limit=many", 400, ("query.limit", "whole number")),
        ("GET", "/api/runs?limt=5", 400, ("query.limt", "did you mean limit?")),
        ("GET", "/api/runs?outcome=faild", 400, ("query.outcome", "did you mean failed?")),
        ("GET", "/api/runs?job=chekout", 404, ("Did you mean checkout?",)),
        ("GET", "/api/runs?job=a%20b", 400, ("query.job",)),
        ("GET", "/api/runs/checkout@20200101T000000.000Z", 404, ("no run", "GET /api/runs")),
        ("GET", "/api/runs/" + "x" * 300, 400, ("too long",)),
        ("GET", "/api/nothing", 404, ("/api/openapi.json",)),
        ("GET", "/api/dashboard/static/%2e%2e/templates/overview.html", 404, ("no route",)),
        ("GET", "/api/jobs/checkout/run", 405, ("Use POST",)),
        ("DELETE", "/api/jobs/checkout", 428, ("Send If-Match",)),
        ("OPTIONS", "/api/runs", 405, ("Use GET",)),
    ],
)
async def test_what_cannot_be_is_refused_with_what_would_be_right(
    method: str, path: str, status: int, words: tuple[str, ...], place: Place
) -> None:
    found, detail = await place.refused(method, path)
    assert found == status
    assert [word for word in words if word not in detail] == [], detail


async def test_head_is_answered_as_get_without_a_body(place: Place) -> None:
    answer = await place.host.client.head("/api/jobs")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 100


async def test_a_page_of_another_site_starts_no_run(place: Place) -> None:
    status, detail = await place.refused("POST", "/api/jobs/checkout/run", headers={"Sec-Fetch-Site": "cross-site"})
    assert status == 403
    assert "Cross-site requests are not allowed" in detail


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:1"])
async def test_an_old_browser_starts_no_run_from_a_page_of_another_site(origin: str, place: Place) -> None:
    status, detail = await place.refused("POST", "/api/jobs/checkout/run", headers={"Origin": origin})
    assert status == 403
    assert f"Origin is {origin!r}" in detail


async def test_a_page_of_this_host_starts_a_run_in_an_old_browser(place: Place) -> None:
    origin = str(place.host.client.base_url).rstrip("/")
    answer = await place.host.client.post("/api/jobs/checkout/run", headers={"Origin": origin})
    assert answer.status_code == 202


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"POST /api/jobs/paged/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 600000000\r\n\r\n", 413),
        (b"POST /api/jobs/paged/pause HTTP/1.1\r\nHost: 127.0.0.1\r\nSec-Fetch-Site: cross-site\r\n"
         b"Content-Length: 600000000\r\n\r\n", 403),
        (b"GET /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nHost: evil.example\r\n\r\n", 400),
        (b"GET /api/jobs HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"y" * 40_000 + b"\r\n\r\n", 431),
    ],
)  # fmt: skip
async def test_what_is_refused_by_its_head_is_answered_before_its_body_comes(
    sent: bytes, status: int, place: Place
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.host.client.base_url.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(60):
            head = await reader.readuntil(b"\r\n\r\n")
    finally:
        writer.close()
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in head


async def test_health_speaks_of_the_connections_of_the_api(place: Place) -> None:
    parts = (await place.host.get("/api/status"))["parts"]
    assert {"name": "connections", "status": "ok", "message": ""} in parts


async def test_pages_hold_every_run_once_and_a_changed_token_is_refused(place: Place) -> None:
    made = [(await place.host.run("paged"))["id"] for _ in range(7)]
    observed: list[str] = []
    query: dict[str, str] = {"job": "paged", "limit": "3"}
    while True:
        page = (await place.host.client.get("/api/runs", params=query)).json()
        observed += [run["id"] for run in page["runs"]]
        if page["continuation"] is None:
            break
        token = page["continuation"]
        query["continuation"] = token
    assert observed == list(reversed(made))

    for changed in (token + "A", token[::-1], token.swapcase(), "%00", "🎉", "A" * 400):
        status, detail = await place.refused("GET", "/api/runs", params={"job": "paged", "continuation": changed})
        assert status == 422
        assert "use the value of the previous page" in detail


async def test_a_token_of_one_list_does_not_open_another(place: Place) -> None:
    for _ in range(3):
        await place.host.run("paged")
    page = (await place.host.client.get("/api/runs", params={"job": "paged", "limit": "1"})).json()

    other = await place.host.client.get("/api/runs", params={"job": "checkout", "continuation": page["continuation"]})

    assert other.status_code == 400 or {run["job"] for run in other.json()["runs"]} <= {"checkout"}


async def test_a_run_that_takes_longer_than_is_waited_for_is_found_by_its_location(place: Place) -> None:
    answer = await place.host.client.post("/api/jobs/slow/run", params={"wait": "150ms"})
    assert (answer.status_code, answer.json()["state"]) == (202, "running")
    async with asyncio.timeout(60):
        location = answer.headers["operation-location"]
        while (run := await place.host.get(location))["state"] != "finished":  # noqa: ASYNC110 - asked as a client does
            await asyncio.sleep(0.05)
    assert run["outcome"] == "succeeded"


async def test_a_hundred_at_once_who_run_a_job_get_a_hundred_runs(place: Place) -> None:
    runs = await asyncio.gather(*(place.host.run("beside") for _ in range(100)))
    assert len({run["id"] for run in runs}) == 100
    assert {run["outcome"] for run in runs} == {"succeeded"}


async def test_a_hundred_at_once_on_a_job_that_must_not_overlap_are_reported_who_was_first(place: Place) -> None:
    runs = await asyncio.gather(*(place.host.run("slow") for _ in range(100)))
    outcomes = Counter(run["outcome"] for run in runs)
    assert outcomes["succeeded"] >= 1
    assert outcomes["succeeded"] + outcomes["skipped"] == 100
    assert place.target.max_in_flight <= 101
    first = {run["id"] for run in runs if run["outcome"] == "succeeded"}
    reported = [run["message"] for run in runs if run["outcome"] == "skipped"]
    assert all(any(run_id in message for run_id in first) and "overlap: skip" in message for message in reported)


async def test_a_job_each_second_runs_at_each_second_once(place: Place) -> None:
    async with asyncio.timeout(60):
        while len(runs := await place.host.runs(job="each-second")) < 4:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
    instants = [datetime.fromisoformat(run["due_at"]) for run in runs]
    assert all(instant.microsecond == 0 for instant in instants)
    assert [later - earlier for earlier, later in zip(instants[1:], instants[:-1], strict=True)] == [
        timedelta(seconds=1)
    ] * (len(instants) - 1)


async def test_texts_of_all_languages_pass_in_both_directions_and_control_characters_do_not(place: Place) -> None:
    run = await place.host.run("odd")

    sent = place.target.requests_to("/odd")[-1]
    assert sent.json() == {"grüße": "日本🎉"}
    assert sent.headers["x-name"].encode("latin-1").decode() == "Grüße 日本"
    assert "Grüße 日本" in run["message"]
    assert "🎉" in run["message"]
    assert "\x1b" not in run["message"]
    assert "\x00" not in run["message"]
    page = (await place.host.client.get("/api/dashboard")).text
    assert "\x1b" not in page


async def test_an_odd_name_is_found_under_its_name(place: Place) -> None:
    run = await place.host.run("A.b-c_9")
    assert run["outcome"] == "succeeded"
    assert place.target.requests_to("/name")[-1].query == {"grüße": "日本"}
    assert (await place.host.get(run["url"]))["id"] == run["id"]
    assert (await place.host.get("/api/jobs/A.b-c_9"))["name"] == "A.b-c_9"


async def test_sixty_headers_of_a_kilobyte_are_read(place: Place) -> None:
    assert (await place.host.run("wide"))["outcome"] == "succeeded"


@pytest.mark.parametrize("sent", [b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00", b"GET / HTTP/9.9\r\n\r\n"])
async def test_what_is_not_http_is_turned_away_and_nothing_breaks(sent: bytes, place: Place) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", place.host.client.base_url.port)
    try:
        writer.write(sent)
        async with asyncio.timeout(60):
            head = await reader.read(100)
    finally:
        writer.close()
    assert head.startswith(b"HTTP/1.1 400 ") or head == b""
    assert (await place.host.client.get("/api/health/ready")).status_code == 200
