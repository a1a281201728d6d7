"""Application Insights' ingestion endpoint on loopback.

    async with ApplicationInsightsIngestion() as insights:
        os.environ.update(insights.environ)             # connection string, and all that calls elsewhere off
        configure_azure_monitor(connection_string=insights.connection_string, enable_live_metrics=False,
                                enable_performance_counters=False)
        insights.items                                  # envelopes, in order
        insights.by_type("AvailabilityData")            # baseData of RequestData, EventData, MessageData, ...

Telemetry providers are global to a process: run the code under test in a subprocess (see proc). An exporter keeps what
was answered 500, 429 or not at all, and sends it again later; what was answered 400 it drops.
"""

from __future__ import annotations

import gzip
import json
from typing import Any

from tests.parts.http_server import Answer, Request
from tests.parts.service import Service

INSTRUMENTATION_KEY = "00000000-1111-2222-3333-444444444444"

QUIET = {
    "APPLICATIONINSIGHTS_STATSBEAT_DISABLED_ALL": "true",
    "APPLICATIONINSIGHTS_SDKSTATS_DISABLED": "true",
    "APPLICATIONINSIGHTS_CONTROLPLANE_DISABLED": "true",
    "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "azure_app_service",
}


class ApplicationInsightsIngestion(Service):
    """Takes JSON arrays and JSON lines, compressed or not."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[dict[str, Any]] = []

    @property
    def connection_string(self) -> str:
        return f"InstrumentationKey={INSTRUMENTATION_KEY};IngestionEndpoint={self.url}/;LiveEndpoint={self.url}/"

    @property
    def environ(self) -> dict[str, str]:
        return {**QUIET, "APPLICATIONINSIGHTS_CONNECTION_STRING": self.connection_string}

    def by_type(self, base_type: str) -> list[dict[str, Any]]:
        """The baseData of all items of a type."""
        return [item["data"]["baseData"] for item in self.items if item["data"]["baseType"] == base_type]

    def error_body(self, status: int) -> object:
        return {"itemsReceived": 0, "itemsAccepted": 0, "errors": []}

    def handle(self, request: Request) -> Answer:
        # The exporter appends its path to the endpoint, whose own slash it keeps.
        if request.method != "POST" or request.path.replace("//", "/") not in ("/v2.1/track", "/v2/track"):
            return Answer(404)
        items = _parse(request)
        problems = [
            {"index": index, "statusCode": 400, "message": problem}
            for index, item in enumerate(items)
            if (problem := _problem(item))
        ]
        self.items += [item for item in items if not _problem(item)]
        accepted = len(items) - len(problems)
        status = 200 if not problems else 206 if accepted else 400
        return Answer.of_json({"itemsReceived": len(items), "itemsAccepted": accepted, "errors": problems}, status)


def _parse(request: Request) -> list[dict[str, Any]]:
    body = gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body
    if body.lstrip().startswith(b"["):
        return list(json.loads(body))
    return [json.loads(line) for line in body.splitlines() if line.strip()]


def _problem(item: dict[str, Any]) -> str | None:
    if item.get("iKey") != INSTRUMENTATION_KEY:
        return "Invalid instrumentation key"
    data = item.get("data") or {}
    if not (item.get("name") and item.get("time") and data.get("baseType") and data.get("baseData")):
        return "name, time, baseType and baseData are required"
    return None
