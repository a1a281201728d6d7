"""Importing function_app is next to nothing: the worker does it at each cold start, before it can answer."""

from __future__ import annotations

import json
import statistics
from dataclasses import dataclass

import pytest

from tests.parts.proc import run
from tests.scheduler.functions.hosted import ROOT

# Both in one process, so that a busy machine slows both down.
MEASURE = """
import json, sys, time
begin = time.perf_counter()
import azure.functions
between, before = time.perf_counter(), len(sys.modules)
import function_app
print(json.dumps([between - begin, time.perf_counter() - begin, before, sorted(sys.modules)]))
"""
HEAVY = (
    "aiohttp",
    "azure.core",
    "azure.data",
    "azure.identity",
    "azure.monitor",
    "azure.storage",
    "config",
    "datadog_api_client",
    "fastapi",
    "httpcore",
    "httpx",
    "jobs",
    "observability",
    "opentelemetry",
    "pydantic",
    "rich",
    "sqlite3",
    "starlette",
    "tenacity",
    "typer",
    "yaml",
)


@dataclass(frozen=True)
class Import:
    """Seconds and modules of one process."""

    azure_functions: float
    function_app: float
    modules_before: int
    modules: list[str]


async def imported() -> Import:
    done = await run("-c", MEASURE, module=None, cwd=ROOT)
    assert done.code == 0, done.stderr
    return Import(*json.loads(done.stdout))


async def test_function_app_costs_at_most_half_as_much_again_as_the_library_of_azure_functions() -> None:
    await imported()  # byte code is written, files are in memory
    ratios = [found.function_app / found.azure_functions for found in [await imported() for _ in range(5)]]

    assert statistics.median(ratios) <= 1.5


async def test_nothing_heavy_is_imported_before_the_first_trigger() -> None:
    found = await imported()

    assert [name for name in HEAVY if name in found.modules] == []
    assert len(found.modules) - found.modules_before < 30


@pytest.mark.parametrize(
    "name",
    ["scheduler.hosts.functions.queue", "scheduler.hosts.functions.timer", "scheduler.hosts.functions.program"],
)
async def test_the_program_itself_is_not_imported_before_the_first_trigger(name: str) -> None:
    assert name not in (await imported()).modules
