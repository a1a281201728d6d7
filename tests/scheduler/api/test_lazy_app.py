"""The health routes before the whole API is there, and how it comes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from jinja2 import Environment

from scheduler.api.app import create_api
from scheduler.api.dashboard import readers
from scheduler.api.dashboard.rendering.templates import get_templates
from scheduler.api.lazy_app import LazyApi
from scheduler.health import HealthStatus
from scheduler.stores.runs.repository import Runs
from tests.scheduler.api.api_client import BASE, ApiClient

HOSTS = ("scheduler.test",)
SAME_ID = {"X-Request-ID": "the-same-request"}
PROBED = ("/api/health", "/api/health/live", "/api/health/ready", "/api/health?at=1")


class Early:
    """The early API and the whole one over the same services."""

    def __init__(self, desk: ApiClient) -> None:
        self.desk = desk
        self.times_made = 0
        self.lazy = LazyApi(desk.services, hosts=HOSTS, on_created=self._made)
        self.early = httpx.AsyncClient(transport=httpx.ASGITransport(self.lazy), base_url=BASE, headers=SAME_ID)
        whole = create_api(desk.services, hosts=HOSTS)
        self.whole = httpx.AsyncClient(transport=httpx.ASGITransport(whole), base_url=BASE, headers=SAME_ID)

    def _made(self) -> None:
        self.times_made += 1


@asynccontextmanager
async def both() -> AsyncIterator[Early]:
    async with ApiClient() as desk:
        apis = Early(desk)
        async with apis.early, apis.whole:
            yield apis


def reported(answer: httpx.Response) -> tuple[int, bytes, list[tuple[str, str]]]:
    return answer.status_code, answer.content, sorted(answer.headers.items())


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("path", PROBED)
@pytest.mark.parametrize("status", [HealthStatus.OK, HealthStatus.DOWN])
async def test_a_probe_is_answered_as_by_the_whole_api(method: str, path: str, status: HealthStatus) -> None:
    async with both() as apis:
        apis.desk.add_health_part("store", status, "look at the disk")

        early = await apis.early.request(method, path)

        assert reported(early) == reported(await apis.whole.request(method, path))
        assert apis.times_made == 0


async def test_a_name_that_is_not_ours_is_refused_as_by_the_whole_api() -> None:
    async with both() as apis:
        early = await apis.early.get("/api/health", headers={"Host": "elsewhere.example"})

        assert reported(early) == reported(await apis.whole.get("/api/health", headers={"Host": "elsewhere.example"}))
        assert early.status_code == 400


@pytest.mark.parametrize("path", ["/api/jobs", "/api/dashboard/static/0/styles.css", "/api/no", "/api/health/", "/"])
async def test_everything_else_is_answered_by_the_whole_api(path: str) -> None:
    async with both() as apis:
        assert reported(await apis.early.get(path)) == reported(await apis.whole.get(path))


async def test_another_method_on_a_health_route_is_refused_as_by_the_whole_api() -> None:
    async with both() as apis:
        assert reported(await apis.early.post("/api/health")) == reported(await apis.whole.post("/api/health"))


async def test_the_whole_api_is_made_once_for_all_who_request_it_together() -> None:
    async with both() as apis:
        answers = await asyncio.gather(*(apis.early.get("/api/jobs") for _ in range(3)))

        assert [answer.status_code for answer in answers] == [200, 200, 200]
        assert apis.times_made == 1


async def test_the_first_page_waits_for_nothing_that_could_be_prepared(monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[str] = []
    compile_source, read_counts = Environment.compile, Runs.list_rollups

    def note_compilation(*given: Any, **more: Any) -> Any:
        slow.append(f"compiled {given[2]}")
        return compile_source(*given, **more)

    async def note_read(self: Runs, job: str, *given: Any) -> Any:
        slow.append(f"read {job}")
        return await read_counts(self, job, *given)

    monkeypatch.setattr(Environment, "compile", note_compilation)
    monkeypatch.setattr(Runs, "list_rollups", note_read)
    get_templates.cache_clear()
    async with both() as apis:
        await apis.lazy.warm_up()
        assert {"compiled overview.html", "compiled base.html", "compiled parts.html"} <= set(slow)
        assert "read checkout" in slow
        slow.clear()
        assert (await apis.early.get("/api/dashboard")).status_code == 200
        assert (slow, apis.times_made) == ([], 1)


async def test_a_request_that_came_first_does_not_share_the_processor_with_the_preparation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[str] = []
    monkeypatch.setattr(readers, "compile_template", compiled.append)
    async with both() as apis:
        response, _ = await asyncio.gather(apis.early.get("/api/dashboard"), apis.lazy.warm_up())
        assert (response.status_code, apis.times_made, compiled) == (200, 1, [])


async def test_a_store_that_is_unavailable_does_not_end_the_preparation() -> None:
    async with both() as apis:
        apis.desk.shop.store.breaks_after = 0
        await apis.lazy.warm_up()
        assert apis.times_made == 1


def test_a_host_that_no_one_has_requested_has_nothing_of_fastapi() -> None:
    code = "import sys, scheduler.hosts.embedded.host; print(*{'fastapi', 'jinja2'} & sys.modules.keys())"
    answer = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert answer.stdout.strip() == ""
