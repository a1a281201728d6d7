"""The watchdog on Azure: the instance that ticks looks, and every instance tells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.watchdog.watchdog import GAUGE_INTERVAL
from tests.scheduler.functions.hosted import Hosted


async def test_a_tick_looks_at_jobs_and_queue_and_the_api_tells(hosted: Hosted) -> None:
    tick = await hosted.worker.timer("tick")
    reply = await hosted.worker.http("GET", "/api/watchdog", key="read")

    assert tick.failure is None
    told = reply.json()
    assert (reply.status, told["errors"]) == (200, [])
    assert told["jobs"] == {"watched": 2, "late": 0, "silent": 0, "stale": 0, "overdue": []}
    assert told["queue"]["waiting"] == await hosted.queue.length()
    assert told["queue"]["poison"] == 0
    assert told["tick_gap_s"] == pytest.approx(0, abs=GAUGE_INTERVAL)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(told["at"])).total_seconds()) < GAUGE_INTERVAL
    assert told["store_ms"] > 0


async def test_health_has_its_parts(hosted: Hosted) -> None:
    health = (await hosted.worker.http("GET", "/api/health")).json()

    assert {part["name"]: part["status"] for part in health["parts"]}.items() >= {"jobs": "ok", "queue": "ok"}.items()
