"""A run of an Azure check, from the request to its outcome: what Azure does not tell is neither up nor down."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobs.definition import JobDefinition
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from jobs.runs import Outcome, Run
from tests.jobs.running.memory_states import MemoryStates
from tests.jobs.running.run_parts import TICKET, Heard
from tests.jobs.running.virtual_time import LoopClock
from tests.parts.azure_apis import APIS, AzureApis, entries_of, page_of
from tests.parts.http_server import Answer

DEAD_LETTERS = {"json": "$.value[*].properties.countDetails.deadLetterMessageCount", "below": 1}


async def run(azure: AzureApis, expect: list[Any], api: str = "service bus queues", **more: Any) -> Run:
    job = JobDefinition.model_validate({"name": "checkout", "check": APIS[api]["target"], "expect": expect, **more})
    circuits = CircuitBreakers(MemoryStates())
    return await Runner(azure.checks, circuits, Heard(), LoopClock(), Redactor()).run(job, TICKET)


async def test_rows_of_all_pages_are_judged() -> None:
    async with AzureApis.open() as azure:
        first, second = entries_of("service bus queues", 2)
        first["properties"]["countDetails"]["deadLetterMessageCount"] = 0
        link = "https://management.azure.com/subscriptions?page=2"
        azure.script = [
            Answer.of_json(page_of("service bus queues", [first], link)),
            Answer.of_json(page_of("service bus queues", [second])),
        ]
        finished = await run(azure, [DEAD_LETTERS])
        assert finished.outcome is Outcome.FAILED
        assert "expected less than 1, observed 3 (one of 2 values)" in finished.message


async def test_a_resource_that_does_not_exist_fails_the_run() -> None:
    async with AzureApis.open() as azure:
        azure.script = [azure.refusal(404, "ResourceNotFound")]
        finished = await run(azure, [DEAD_LETTERS])
        assert finished.outcome is Outcome.FAILED
        assert "does not exist (404 ResourceNotFound)" in finished.message


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_refusal_of_azure_is_an_unknown_run(status: int) -> None:
    async with AzureApis.open() as azure:
        for api in APIS:
            azure.dependencies.azure_budget._buckets.clear()  # after a 429
            azure.script = [azure.refusal(status, "No")]
            finished = await run(azure, [], api)
            assert (finished.outcome, finished.reason) == (Outcome.SKIPPED, "unknown"), api
            assert f"({status} No)" in finished.message, api
            assert len(finished.attempts) == 1, api


async def test_silence_of_azure_is_an_unknown_run() -> None:
    async with AzureApis.open() as azure:
        azure.script = [Answer(gate=asyncio.Event())]
        for api in APIS:
            finished = await run(azure, [], api, timeout={"attempt": "300ms"})
            assert (finished.outcome, finished.reason) == (Outcome.SKIPPED, "unknown"), api
            assert "within 300 ms" in finished.message, api
