"""Exact counts in all three tools through an outage of each, a killed process and restarts.

The full size: SCHEDULER_TEST_RUNS=1000 (by default 200).
"""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import sys
import time
import zlib
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobs.runs import Outcome, Run
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.tally import PLACES
from scheduler.stores.sqlite.store import open_sqlite
from tests.observability.outage_program import CANARY, JOBS, make_run
from tests.observability.runs import ticket
from tests.parts.application_insights import INSTRUMENTATION_KEY, ApplicationInsightsIngestion
from tests.parts.datadog_intake import DatadogIntake
from tests.parts.otlp_collector import OtlpCollector, read_attributes
from tests.project import ROOT
from tests.scheduler.stores.samples import rollup_of

RUNS = int(os.environ.get("SCHEDULER_TEST_RUNS", "200"))
OUTAGE_S = 300.0
HEADER = "secret-of-the-collector"


class Tools:
    """The three destinations, and the processes that publish to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = time.time()
        self.passed = 0.0
        self.insights = ApplicationInsightsIngestion()
        self.datadog = DatadogIntake(now=lambda: time.time() + self.passed)
        self.collector = OtlpCollector({"x-key": HEADER})
        self.all = (self.insights, self.datadog, self.collector)

    async def start(self, first: int, count: int, then: str) -> asyncio.subprocess.Process:
        settings = {
            "application_insights": {"connection_string": self.insights.connection_string},
            "datadog": {"api_key": self.datadog.api_key, "url": self.datadog.url},
            "otlp": {"endpoint": self.collector.url, "headers": f"x-key={HEADER}", "interval": "1s"},
        }
        telemetry = {"spool": {"folder": str(self.folder)}}
        options = {"settings": settings, "telemetry": telemetry, "now": self.now}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.observability.outage_program"),
            json.dumps({**options, "first": first, "count": count, "then": then}),
            cwd=ROOT,
            stdout=asyncio.subprocess.PIPE,
        )

    async def publish(self, first: int, count: int, then: str = "stop") -> list[dict[str, Any]]:
        process = await self.start(first, count, then)
        output, _ = await asyncio.wait_for(process.communicate(), 100)
        assert process.returncode == 0
        health: list[dict[str, Any]] = json.loads(output.splitlines()[-1])
        return health

    def fail(self) -> None:
        for tool in self.all:
            tool.refuse_with(503, headers={"Retry-After": "0.3"})

    def recover(self) -> None:
        self.passed = OUTAGE_S
        for tool in self.all:
            tool.recover()

    def sent_bytes(self) -> bytes:
        return b"\n".join(_decode(request.body) for tool in self.all for request in tool.requests)

    def spooled_bytes(self) -> bytes:
        return b"\n".join(_decode(file.read_bytes()) for file in self.folder.rglob("*.request"))


def _decode(body: bytes) -> bytes:
    for decompress in (gzip.decompress, zlib.decompress):
        try:
            return decompress(body)
        except (OSError, zlib.error):
            continue
    return body


@pytest.mark.slow
async def test_every_run_is_counted_once_through_an_outage_a_kill_and_restarts(tmp_path: Path) -> None:
    tools = Tools(tmp_path)
    async with AsyncExitStack() as stack:
        for tool in tools.all:
            await stack.enter_async_context(tool)
        third = RUNS // 3
        # A clean restart while all is well.
        first = await tools.publish(0, third)
        # A process that is killed in the outage, once its events are requests.
        tools.fail()
        killed = await tools.start(third, third, "wait")
        assert killed.stdout is not None
        waiting = json.loads(await asyncio.wait_for(killed.stdout.readline(), 100))
        killed.kill()
        await killed.communicate()
        on_disk = tools.spooled_bytes()
        # A clean stop in the outage, then another process after it.
        stopped = await tools.publish(2 * third, 10)
        tools.recover()
        health = await tools.publish(2 * third + 10, RUNS - 2 * third - 10, "drain")

    assert [(each["state"], each["dropped"], each["last_error"]) for each in first] == [("on", 0, "")] * 3
    assert all(each["waiting"] for each in waiting)
    assert all(each["state"] == "degraded" and not each["dropped"] for each in stopped)
    assert [(each["state"], each["dropped"], each["waiting"]) for each in health] == [("on", 0, 0)] * 3
    assert list(tmp_path.rglob("*.request")) == []  # noqa: ASYNC240  # nothing else runs
    runs = [make_run(number, datetime.fromtimestamp(tools.now, UTC)) for number in range(RUNS)]
    assert await _count_in_store(tmp_path / "runs.db", runs) == _outcomes(runs)
    _check_application_insights(tools.insights, runs)
    _check_datadog(tools.datadog, runs)
    _check_otlp(tools.collector, runs)
    _check_secrets(tools, on_disk)


async def _count_in_store(path: Path, runs: list[Run]) -> Counter[str]:
    """Record the runs as the worker does, and return the counts that the store makes of them."""
    store = await open_sqlite(path)
    recorded = Runs(store)
    for run in runs:
        await recorded.insert_finished(ticket(run.job, run.due_at), run)
    counts: Counter[str] = Counter()
    for number in range(JOBS):
        counted = await rollup_of(recorded, f"job-{number}", runs[0].due_at, days=1)
        counts.update({str(outcome): counted.tally.outcomes[PLACES[outcome]] for outcome in Outcome})
    await store.aclose()
    return +counts


def _outcomes(runs: list[Run]) -> Counter[str]:
    return Counter(str(run.outcome) for run in runs)


def _check_application_insights(insights: ApplicationInsightsIngestion, runs: list[Run]) -> None:
    events = [event["properties"] for event in insights.by_type("EventData") if event["name"] == "JobRun"]
    assert sorted(event["RunId"] for event in events) == sorted(run.id for run in runs)
    assert Counter(event["Outcome"] for event in events) == _outcomes(runs)
    rows = insights.by_type("AvailabilityData")
    assert sorted(row["id"] for row in rows) == sorted(run.id for run in runs if run.counts_for_availability)
    counts: Counter[str] = Counter()
    for data in insights.by_type("MetricData"):
        for point in data["metrics"]:
            if point["name"] == "scheduler.job.runs":
                counts[data["properties"]["outcome"]] += int(point["value"])
    assert counts == _outcomes(runs)


def _check_datadog(datadog: DatadogIntake, runs: list[Run]) -> None:
    lines = [line["RunId"] for line in datadog.logs if line.get("Event") == "JOB_PERFORMANCE"]
    assert sorted(lines) == sorted(run.id for run in runs)
    counts: Counter[str] = Counter()
    for series in datadog.series:
        if series["metric"] == "scheduler.job.runs":
            outcome = next(tag for tag in series["tags"] if tag.startswith("outcome:"))
            counts[outcome.removeprefix("outcome:")] += int(sum(point["value"] for point in series["points"]))
    assert counts == _outcomes(runs)
    checked = {check["tags"][3] for check in datadog.checks}
    assert checked == {f"job:job-{number}" for number in range(JOBS)}


def _check_otlp(collector: OtlpCollector, runs: list[Run]) -> None:
    records = [read_attributes(each.attributes) for each in collector.records if each.event_name == "JOB_PERFORMANCE"]
    assert sorted(record["RunId"] for record in records) == sorted(run.id for run in runs)
    spans = [read_attributes(span.attributes)["RunId"] for span in collector.spans if not span.parent_span_id]
    assert sorted(spans) == sorted(run.id for run in runs)
    assert len(collector.spans) == len(runs) + sum(len(run.attempts) for run in runs)
    for outcome, count in _outcomes(runs).items():
        assert collector.sum_of("scheduler.job.runs", outcome=outcome) == count


def _check_secrets(tools: Tools, on_disk: bytes) -> None:
    """A value of the redactor is in no byte that left the process; keys and headers are not on disk either."""
    assert b"refused ***" in on_disk
    assert b"refused ***" in tools.sent_bytes()
    for secret in (CANARY, HEADER, tools.datadog.api_key, INSTRUMENTATION_KEY):
        assert secret.encode() not in on_disk
    assert CANARY.encode() not in tools.sent_bytes()
