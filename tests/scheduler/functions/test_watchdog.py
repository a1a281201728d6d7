"""The watchdog on Azure: the instance that ticks looks, and every instance tells."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scheduler.watchdog.watchdog import GAUGE_INTERVAL
from tests.scheduler.functions.hosted import Hosted


async def test_a_tick_checks_jobs_and_queue_and_the_api_reports(hosted: Hosted) -> None:
    tick = await hosted.worker.timer("tick")
    reply = await hosted.worker.http("GET", "/api/watchdog", key="read")

    assert tick.failure is None
    reported = reply.json()
    assert (reply.status, reported["errors"]) == (200, [])
    assert reported["jobs"] == {"watched": 2, "late": 0, "silent": 0, "stale": 0, "overdue": []}
    assert reported["queue"]["waiting"] == await hosted.queue.length()
    assert reported["queue"]["poison"] == 0
    assert reported["tick_gap_s"] == pytest.approx(0, abs=GAUGE_INTERVAL)
    assert abs((datetime.now(UTC) - datetime.fromisoformat(reported["at"])).total_seconds()) < GAUGE_INTERVAL
    assert reported["store_ms"] > 0


async def test_health_has_its_parts(hosted: Hosted) -> None:
    health = (await hosted.worker.http("GET", "/api/health")).json()

    assert {part["name"]: part["status"] for part in health["parts"]}.items() >= {"jobs": "ok", "queue": "ok"}.items()
