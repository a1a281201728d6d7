"""GET /api/openapi.json describes what is there and what is sent."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from scheduler.api.models.backfills import BackfillModel
from scheduler.api.models.circuits import CircuitList, CircuitModel
from scheduler.api.models.dead_letters import DeadLetterDetail, DeadLetterList, ReplayModel
from scheduler.api.models.health import HealthModel, LiveModel
from scheduler.api.models.heartbeats import HeartbeatModel
from scheduler.api.models.jobs import JobDetail, JobList
from scheduler.api.models.runs import RunList, RunModel
from scheduler.api.models.secrets import SecretList, SecretModel
from scheduler.api.models.uptime import UptimeModel
from scheduler.api.models.watchdog import WatchdogModel
from scheduler.api.problems import ProblemDetails
from tests.jobs.running.run_parts import REFUSED, answer
from tests.scheduler.api.api_client import ApiClient
from tests.scheduler.fakes import entry

ROUTES: dict[tuple[str, str], type[BaseModel] | None] = {
    ("get", "/api/circuits"): CircuitList,
    ("get", "/api/circuits/{key}"): CircuitModel,
    ("post", "/api/circuits/{key}/close"): CircuitModel,
    ("post", "/api/circuits/{key}/open"): CircuitModel,
    ("post", "/api/circuits/{key}/reset"): CircuitModel,
    ("get", "/api/dead-letters"): DeadLetterList,
    ("get", "/api/dead-letters/{letter_id}"): DeadLetterDetail,
    ("delete", "/api/dead-letters/{letter_id}"): None,
    ("post", "/api/dead-letters/{letter_id}/replay"): RunModel,
    ("post", "/api/dead-letters/replay"): ReplayModel,
    ("get", "/api/health"): HealthModel,
    ("get", "/api/health/live"): LiveModel,
    ("get", "/api/health/ready"): HealthModel,
    ("get", "/api/jobs"): JobList,
    ("get", "/api/jobs/{name}"): JobDetail,
    ("post", "/api/jobs/{name}/backfill"): BackfillModel,
    ("post", "/api/jobs/{name}/pause"): JobDetail,
    ("post", "/api/jobs/{name}/resume"): JobDetail,
    ("post", "/api/jobs/{name}/run"): RunModel,
    ("get", "/api/jobs/{name}/heartbeat"): HeartbeatModel,
    ("get", "/api/jobs/{name}/uptime"): UptimeModel,
    ("get", "/api/ping/{token}"): None,
    ("post", "/api/ping/{token}"): None,
    ("get", "/api/ping/{token}/{result}"): None,
    ("post", "/api/ping/{token}/{result}"): None,
    ("get", "/api/runs"): RunList,
    ("get", "/api/runs/{run_id}"): RunModel,
    ("post", "/api/runs/{run_id}/cancel"): RunModel,
    ("get", "/api/secrets"): SecretList,
    ("post", "/api/secrets/{name}/refresh"): SecretModel,
    ("get", "/api/status"): HealthModel,
    ("get", "/api/watchdog"): WatchdogModel,
}


async def _description() -> dict[str, Any]:
    async with ApiClient() as desk:
        described: dict[str, Any] = (await desk.get("/api/openapi.json")).json()
    return described


async def test_it_describes_every_route_and_no_other() -> None:
    paths = (await _description())["paths"]

    assert {(method, path) for path, methods in paths.items() for method in methods} == set(ROUTES)


async def test_every_route_has_a_summary_an_answer_and_problems() -> None:
    described = await _description()

    for (method, path), model in ROUTES.items():
        operation = described["paths"][path][method]
        assert operation["description"]
        assert operation["tags"]
        good = operation["responses"][
            "202"
            if path.endswith(("/run", "/replay", "/backfill"))
            else "200"
            if model or path.startswith("/api/ping/")
            else "204"
        ]
        if model is not None:
            schema = {"$ref": f"#/components/schemas/{model.__name__}"}
            assert good["content"] == {"application/json": {"schema": schema}}
        for problems in ("4XX", "5XX"):
            (content,) = operation["responses"][problems]["content"].items()
            assert content == ("application/problem+json", {"schema": {"$ref": "#/components/schemas/ProblemDetails"}})
        assert "422" not in operation["responses"]


async def test_it_carries_the_version_of_the_program() -> None:
    described = await _description()

    assert described["openapi"].startswith("3.1")
    assert described["info"]["version"] == "1.2.3"


async def test_every_reference_leads_somewhere() -> None:
    described = await _description()
    schemas = described["components"]["schemas"]

    names = {reference.removeprefix("#/components/schemas/") for reference in _references(described)}

    assert names <= set(schemas)
    assert {"ProblemDetails", "InvalidInput", "AttemptModel", "PhasesModel"} <= names


async def test_the_outcomes_to_filter_by_are_listed() -> None:
    parameters = (await _description())["paths"]["/api/runs"]["get"]["parameters"]

    (outcome,) = (one for one in parameters if one["name"] == "outcome")
    assert "timed_out" in outcome["schema"]["enum"]


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for value in node.values():
            yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


@pytest.mark.parametrize(
    ("address", "model"),
    [
        ("/api/dead-letters", DeadLetterList),
        ("/api/health", HealthModel),
        ("/api/health/live", LiveModel),
        ("/api/jobs", JobList),
        ("/api/jobs/checkout", JobDetail),
        ("/api/jobs/checkout/uptime", UptimeModel),
        ("/api/runs", RunList),
        ("/api/status", HealthModel),
        ("/api/watchdog", WatchdogModel),
        ("/api/runs?limit=0", ProblemDetails),
        ("/api/jobs/chekout", ProblemDetails),
        ("/api/nothing", ProblemDetails),
    ],
)
async def test_what_is_sent_is_the_model_that_is_described(address: str, model: type[BaseModel]) -> None:
    jobs = [entry(retry={"attempts": 2, "initial": "1ms"}), entry("other", schedule=None)]
    async with ApiClient(REFUSED, answer(500), answer(), jobs=jobs) as desk:
        await desk.perform()
        await desk.enqueue(seconds=60)
        sent = await desk.get(address)

    _holds(sent, model)


def _holds(sent: httpx.Response, model: type[BaseModel]) -> None:
    """Nothing more and nothing less than the model: it reads what was sent and writes the same again."""
    read = model.model_validate_json(sent.content)
    assert read.model_dump(mode="json", exclude_none=model is ProblemDetails) == sent.json()
