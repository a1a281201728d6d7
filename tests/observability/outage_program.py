"""Run by test_exact_counts in separate processes: publishes a part of the runs to all three tools, then stops or waits.

`python -m tests.observability.outage_program OPTIONS` with JSON: `settings`, `first`, `count`, and `then`, which is
stop, drain (stop once nothing waits) or wait.
It prints one line of JSON once everything is on disk or sent, and one when it has stopped.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from config.settings.model import Settings
from jobs.policies.execution import REPORT_EVERYTHING
from jobs.redaction import Redactor
from jobs.runs import Outcome, Run
from observability.telemetry import build_telemetry
from tests.observability import runs
from tests.observability.fakes import until

CANARY = "canary-secret-value"
JOBS = 10
_EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
_KINDS = ("succeeded", "degraded", "failed", "timed_out", "rejected", "skipped", "cancelled", "retried")


def make_run(number: int, now: datetime) -> Run:
    """The same outcome for the same number, and an id that no other number has."""
    job, kind = f"job-{number % JOBS}", _KINDS[number % len(_KINDS)]
    due_at = now - timedelta(seconds=1) + timedelta(milliseconds=number)
    message = f"refused {CANARY}"
    if kind == "retried":
        attempts = (runs.failed_attempt(1, message=message), runs.good_attempt(2))
        return runs.run(job=job, due_at=due_at, attempts=attempts)
    if kind == "degraded":
        return runs.run(job=job, due_at=due_at, attempts=runs.degraded().attempts, message="Degraded: slow.")
    outcome = Outcome(kind)
    attempts = (runs.failed_attempt(1, message=message, wait_ms=None),) if outcome.down else None
    return runs.run(
        outcome, job=job, due_at=due_at, message=None if kind == "succeeded" else message, attempts=attempts
    )


async def main(options: dict[str, Any]) -> None:
    redactor = Redactor()
    redactor.add_permanent(CANARY)
    settings = Settings.model_validate(
        {**options["settings"], "telemetry": {**REPORT_EVERYTHING.model_dump(), **options["telemetry"]}}
    )
    telemetry = build_telemetry(settings, redactor)
    for exporter in telemetry._exporters:
        exporter._gather_seconds = 0.1  # type: ignore[attr-defined]
    telemetry.start()
    now = datetime.fromtimestamp(options["now"], UTC)
    for number in range(options["first"], options["first"] + options["count"]):
        telemetry.run_finished(runs.finished(make_run(number, now)))
    await _until_retained(telemetry)
    print(json.dumps(telemetry.health()), flush=True)
    if options["then"] == "wait":
        await asyncio.Event().wait()
    if options["then"] == "drain":
        await until(lambda: not any(each["waiting"] for each in telemetry.health()))
    await telemetry.aclose(20)
    print(json.dumps(telemetry.health()), flush=True)


async def _until_retained(telemetry: Any) -> None:
    """Wait until no event is in memory, and the metrics of all of them are a request."""
    await until(lambda: not any(exporter._queue for exporter in telemetry._exporters))
    ends_at = time.monotonic() + 2.5  # a delivery in progress, and the next export of OTLP's metrics
    await until(lambda: time.monotonic() > ends_at)
    (insights,) = (one for one in telemetry._exporters if one.name == "application_insights")
    await asyncio.to_thread(insights._delivery.export_metrics)


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
