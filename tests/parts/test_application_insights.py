"""The played ingestion endpoint, fed by Azure Monitor's own exporter in a separate process."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys

import httpx

from tests.parts.application_insights import INSTRUMENTATION_KEY
from tests.parts.ingestion import ApplicationInsightsIngestion

PROGRAM = """
import logging
from azure.monitor.opentelemetry import configure_azure_monitor
from opentelemetry import _logs
configure_azure_monitor(logger_name="x", enable_live_metrics=False, enable_performance_counters=False,
                        disable_offline_storage=True)
logging.getLogger("x").error("up", extra={
    "microsoft.availability.id": "1", "microsoft.availability.name": "checkout",
    "microsoft.availability.duration": "00:00:00.100", "microsoft.availability.success": True})
_logs.get_logger_provider().force_flush()
"""


def envelope(**changes: object) -> dict[str, object]:
    data = {"baseType": "EventData", "baseData": {"name": "run"}}
    return {"name": "x", "time": "2031-01-01T00:00:00Z", "iKey": INSTRUMENTATION_KEY, "data": data, **changes}


async def test_the_real_exporter_delivers_an_availability_result() -> None:
    async with ApplicationInsightsIngestion() as insights:
        environment = {**os.environ, **insights.environ}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, env=environment, stderr=asyncio.subprocess.PIPE
        )
        _, errors = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 0, errors.decode()
        (result,) = insights.by_type("AvailabilityData")
    assert (result["name"], result["success"]) == ("checkout", True)


async def test_compressed_json_lines_are_accepted_too() -> None:
    lines = "\n".join(json.dumps(envelope()) for _ in range(2)).encode()
    async with ApplicationInsightsIngestion() as insights, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{insights.url}/v2.1/track", content=gzip.compress(lines), headers={"Content-Encoding": "gzip"}
        )
    assert (answer.status_code, len(insights.by_type("EventData"))) == (200, 2)


async def test_of_a_partly_wrong_payload_the_good_part_is_stored() -> None:
    async with ApplicationInsightsIngestion() as insights, httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(f"{insights.url}/v2.1/track", json=[envelope(), envelope(iKey="another")])
    assert (answer.status_code, answer.json()["itemsAccepted"], len(insights.items)) == (206, 1, 1)
