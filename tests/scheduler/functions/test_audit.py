"""The audit trail on Azure: the caller is the function key, its address that of the platform; ticks anchor it."""

from __future__ import annotations

from scheduler.audit.stored_trail import ANCHOR_CURSOR
from tests.scheduler.functions.hosted import Hosted


async def test_a_change_is_recorded_with_the_key_and_the_address_that_the_platform_has_seen(hosted: Hosted) -> None:
    headers = {"X-Forwarded-For": "10.9.9.9, 203.0.113.7:51000", "X-Request-ID": "deploy-2026-11"}
    done = await hosted.worker.http("POST", "/api/jobs/checkout/pause", key="operate", headers=headers)
    assert done.status == 200
    assert done.headers["x-request-id"] == "deploy-2026-11"

    (entry,) = (await hosted.worker.http("GET", "/api/audit", key="read")).json()["entries"]

    assert (entry["action"], entry["object"], entry["source"]) == ("job.pause", "checkout", "api")
    assert entry["principal"].startswith("function_key:")
    assert (entry["address"], entry["request_id"]) == ("203.0.113.7", "deploy-2026-11")


async def test_a_tick_publishes_the_head_once_an_hour(hosted: Hosted) -> None:
    assert (await hosted.worker.timer("tick")).failure is None
    first = await hosted.cursors.read(ANCHOR_CURSOR)
    assert first is not None

    assert (await hosted.worker.timer("tick")).failure is None

    assert await hosted.cursors.read(ANCHOR_CURSOR) == first


async def test_the_export_arrives_as_a_whole(hosted: Hosted) -> None:
    for action in ("pause", "resume", "pause"):
        await hosted.worker.http("POST", f"/api/jobs/checkout/{action}", key="operate")

    reply = await hosted.worker.http("GET", "/api/audit/export", key="read")

    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-ndjson")
    assert len(reply.body.splitlines()) == 3
