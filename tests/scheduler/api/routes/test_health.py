"""GET /api/health, /api/health/live, /api/health/ready and /api/status."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from scheduler.health import HealthStatus
from tests.scheduler.api.api_client import ApiClient


async def test_health_names_every_part_and_how_it_is() -> None:
    async with ApiClient() as client:
        client.add_health_part("store", HealthStatus.OK)
        client.add_health_part("datadog", HealthStatus.DEGRADED, "HTTP 403: look at the key")

        answer = await client.get("/api/health")

    assert answer.status_code == 200
    body = answer.json()
    loaded_at = datetime.fromisoformat(body["jobs"].pop("loaded_at"))
    assert loaded_at.utcoffset() == timedelta()
    assert body == {
        "status": "degraded",
        "environment": "test",
        "version": "1.2.3",
        "jobs": {"generation": "", "count": 1},
        "parts": [
            {"name": "store", "status": "ok", "message": ""},
            {"name": "datadog", "status": "degraded", "message": "HTTP 403: look at the key"},
        ],
    }


@pytest.mark.parametrize("address", ["/api/health", "/api/health/ready"])
async def test_where_all_else_needs_a_key_health_names_parts_and_no_internals(address: str) -> None:
    async with ApiClient(requires_key=True) as client:
        client.add_health_part("jobs", HealthStatus.OK, "412 jobs are watched")
        client.add_health_part("store", HealthStatus.DOWN, "store /home/data/scheduler.db: disk full")

        answer = await client.get(address)
        reported = await client.get("/api/status")

    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["version"]) == (503, "5", "1.2.3")
    assert answer.json()["parts"] == [
        {"name": "jobs", "status": "ok", "message": ""},
        {"name": "store", "status": "down", "message": "see GET /api/status, which requires a key"},
    ]
    assert reported.status_code == 503
    assert reported.json()["parts"][1]["message"] == "store /home/data/scheduler.db: disk full"


async def test_status_reports_the_same_as_health_where_nothing_needs_a_key() -> None:
    async with ApiClient() as client:
        client.add_health_part("datadog", HealthStatus.DEGRADED, "HTTP 403: look at the key")

        assert (await client.get("/api/status")).json() == (await client.get("/api/health")).json()


@pytest.mark.parametrize("address", ["/api/health", "/api/health/ready"])
async def test_a_part_that_is_down_makes_the_app_unready(address: str) -> None:
    async with ApiClient() as client:
        client.add_health_part("store", HealthStatus.DOWN, "the file is locked")

        answer = await client.get(address)

    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert (answer.json()["status"], answer.json()["parts"][0]["message"]) == ("down", "the file is locked")


async def test_a_degraded_part_leaves_the_app_ready() -> None:
    async with ApiClient() as client:
        client.add_health_part("datadog", HealthStatus.DEGRADED)

        assert (await client.get("/api/health/ready")).status_code == 200


async def test_live_requests_no_part() -> None:
    async with ApiClient() as client:
        client.add_health_part("store", HealthStatus.DOWN)

        answer = await client.get("/api/health/live")

    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["", "/live", "/ready"])
async def test_a_probe_may_add_a_parameter_of_its_own(path: str) -> None:
    async with ApiClient() as client:
        assert (await client.get(f"/api/health{path}", nocache=1)).status_code == 200


@pytest.mark.parametrize("path", ["", "/ready"])
async def test_a_probe_may_request_with_head(path: str) -> None:
    async with ApiClient() as client:
        client.add_health_part("store", HealthStatus.DOWN)

        answer = await client.request("HEAD", f"/api/health{path}")

    assert (answer.status_code, answer.content) == (503, b"")
