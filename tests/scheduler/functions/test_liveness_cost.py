"""The first liveness answer is cheap: the platform asks for it while the process starts, and restarts what is late."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass

import pytest

from scheduler.api.unavailable_app import create_unavailable_api
from scheduler.hosts.functions.triggers import FunctionsHost
from tests.parts.proc import run
from tests.scheduler.functions.asking import ask
from tests.scheduler.functions.hosted import ROOT

# CPU time of one process against that of a library which the worker imports anyway: a busy machine slows both down.
MEASURE = """
import asyncio, json, sys, time
begin = time.process_time()
import azure.functions as func
between = time.process_time()
from scheduler.hosts.functions import host
request = func.HttpRequest(method="GET", url="http://localhost/api/health/live", body=b"")
answer = asyncio.run(host.handle_http(request, None))
print(json.dumps([between - begin, time.process_time() - between, answer.status_code, sorted(sys.modules)]))
"""
HEAVY = (
    "config",
    "fastapi",
    "httpx",
    "jobs",
    "observability",
    "pydantic",
    "scheduler.features.runs.models",
    "starlette",
    "yaml",
)


@dataclass(frozen=True)
class FirstAnswer:
    """Seconds of CPU, and what was imported."""

    azure_functions: float
    answer: float
    status: int
    modules: list[str]


async def first_answer() -> FirstAnswer:
    done = await run("-c", MEASURE, module=None, cwd=ROOT)
    assert done.code == 0, done.stderr
    return FirstAnswer(*json.loads(done.stdout))


async def test_the_first_liveness_answer_costs_no_more_than_importing_azure_functions() -> None:
    await first_answer()  # byte code is written, files are in memory
    ratios = [found.answer / found.azure_functions for found in [await first_answer() for _ in range(3)]]

    assert statistics.median(ratios) <= 1.0


async def test_a_liveness_answer_imports_neither_the_api_nor_the_program() -> None:
    found = await first_answer()

    assert found.status == 200
    assert [name for name in HEAVY if name in found.modules] == []


@pytest.mark.parametrize("path", ["/api/health/live", "/api/health/live?at=1"])
async def test_the_cheap_answer_is_that_of_the_whole_api(path: str) -> None:
    host = FunctionsHost({})
    cheap = await ask(host, "GET", path)
    host._api = create_unavailable_api("closed")
    whole = await ask(host, "GET", path)

    # Each request has its own id.
    headers = [dict(answer.headers) for answer in (cheap, whole)]
    ids = [each.pop("x-request-id", "") for each in headers]
    assert (cheap.status, cheap.body, headers[0]) == (whole.status, whole.body, headers[1])
    assert ids[0] != ids[1]


async def test_a_head_request_gets_the_length_without_the_body() -> None:
    answer = await ask(FunctionsHost({}), "HEAD", "/api/health/live")

    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "15")


async def test_only_a_get_or_head_of_exactly_that_path_is_answered_cheaply() -> None:
    host = FunctionsHost({})

    assert (await ask(host, "GET", "/api/health/live/deep")).status == 503
    assert (await ask(host, "GET", "/api/jobs/health/live")).status == 503
