"""The client of the API bench: what it sends, and what it counts."""

from __future__ import annotations

import time
from collections import Counter

from bench._api_client import Client
from tests.parts.http_target import HttpTarget


async def test_the_client_measures_each_kind_of_request_and_reports_unexpected_statuses() -> None:
    async with HttpTarget() as target:
        target.on("/api/runs", body='{"runs":[{"id":"checkout@1"}]}')
        target.on("/api/status", 503, body="{}")
        client = Client(target.url, ["checkout"], ["operated"])
        await client.send_until(time.time() + 1.0, rate=60)

        sent = Counter((request.method, request.path) for request in target.requests)
    measured = client.measured
    assert sent["POST", "/api/jobs/operated/pause"] == len(measured.milliseconds["pause"]) >= 1
    assert sent["GET", "/api/runs/checkout@1"] >= 1
    assert sum(sent.values()) == len(measured.all()) <= 60
    assert measured.unexpected == {"status: 503": len(measured.milliseconds["status"])}
