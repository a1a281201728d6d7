"""Run by test_application_insights in a process of its own, as telemetry's providers are global to a process.

`python -m tests.observability.insights_program CONNECTION_STRING SCENARIO` prints one line of JSON about what it saw.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from config.settings.model import ApplicationInsightsSettings, Settings
from jobs.policies.execution import REPORT_EVERYTHING, Reporting
from jobs.redaction import Redactor
from jobs.runs import Outcome, Run
from observability.exporters.application_insights import build_application_insights_exporter
from observability.exporters.spool import Spool
from observability.exporters.spool_folder import SpoolFolder
from observability.invocations import Invocation, run_in_invocation
from observability.telemetry import Telemetry
from scheduler.planning.plan import Plan
from scheduler.watchdog.report import WATCHDOG_GAUGES
from tests.observability import runs
from tests.observability.fakes import until

GAUGES = {gauge.name: gauge for gauge in WATCHDOG_GAUGES}

CANARY = "canary-secret-value"
CALLER = f"00-{'c' * 32}-{'d' * 16}-00"
HOST = f"00-{'a' * 32}-{'b' * 16}-01"
CLOSE_WITHIN = 3.0


def two_hundred() -> list[Run]:
    """Of ten jobs twenty runs each: 170 good ones, 10 after a retry, 10 failed, 10 left out."""
    now = datetime.now(UTC)
    # Two runs have never the same id, nor the same trace.
    due = [now - timedelta(milliseconds=number) for number in range(20)]
    retried = (runs.failed_attempt(1, message=f"refused {CANARY}"), runs.good_attempt(2))
    made = []
    for number in range(10):
        job = f"job-{number}"
        good = [runs.run(job=job, due_at=at, duration_ms=20.0) for at in due[:17]]
        again = runs.run(job=job, due_at=due[17], duration_ms=40.0, attempts=retried)
        bad = runs.run(Outcome.FAILED, job=job, due_at=due[18], duration_ms=60.0, message=f"refused {CANARY}")
        skipped = runs.run(Outcome.SKIPPED, job=job, due_at=due[19], message="the last run is still going")
        made += [*good, again, bad, skipped]
    return made


def traced(telemetry: Telemetry) -> Iterator[Run]:
    """One run that a caller asked for in its trace, and that an invocation of the Functions host performed."""
    telemetry.run_requested(runs.ticket(), CALLER)
    now = datetime.now(UTC)
    telemetry.tick_planned(now, now, Plan(now, on_time=[runs.ticket()] * 100))
    with run_in_invocation(Invocation("invocation-1", HOST)):
        yield runs.run(Outcome.FAILED)


async def main(connection_string: str, scenario: str) -> dict[str, Any]:
    if scenario == "configured":
        configure_as_the_worker_does(connection_string)
    settings = Settings(
        environment="test",
        version="1.2.3",
        service_name=os.environ.get("OTEL_SERVICE_NAME"),
        application_insights=ApplicationInsightsSettings.model_validate({"connection_string": connection_string}),
    )
    redactor = Redactor()
    redactor.add_permanent(CANARY)
    spool = Spool(SpoolFolder(Path(tempfile.gettempdir()) / "spool", 64 * 1024 * 1024))
    exporter = build_application_insights_exporter(settings, connection_string, redactor, spool, gather_seconds=0.0)
    reporting = Reporting() if scenario == "usual" else REPORT_EVERYTHING
    telemetry = Telemetry([exporter], environment="test", version="1.2.3", reporting=reporting)
    telemetry.start()
    started = time.thread_time()
    for run in traced(telemetry) if scenario == "traced" else two_hundred():
        telemetry.run_finished(runs.finished(run))
    offered_s = time.thread_time() - started
    telemetry.dead_lettered(runs.ticket(), f"refused {CANARY}")
    telemetry.gauges([(GAUGES["tick_gap"], 9.0), (GAUGES["queue_depth"], 4.0)])
    telemetry.gauges([(GAUGES["tick_gap"], 1.5)])
    telemetry.service_started(host="embedded", jobs=10)
    try:
        raise RuntimeError(f"no disk for {CANARY}")
    except RuntimeError:
        logging.getLogger("scheduler.stores").exception("cannot write")
    if scenario != "impatient":
        await until(lambda: bool(exporter.health().sent or exporter.health().last_error))
    before_close = exporter.health().state
    started = time.monotonic()
    await telemetry.aclose(CLOSE_WITHIN)
    return {
        "offered_s": offered_s,
        "before_close": before_close,
        "closed_s": time.monotonic() - started,
        "health": telemetry.health()[0],
        "instrumented": instrumented(),
        "threads": [thread.name for thread in threading.enumerate() if not thread.daemon],
    }


def configure_as_the_worker_does(connection_string: str) -> None:
    from azure.monitor.opentelemetry import configure_azure_monitor

    configure_azure_monitor(
        connection_string=connection_string, enable_live_metrics=False, enable_performance_counters=False
    )


def instrumented() -> bool:
    """Whether the HTTP client was wrapped, and would record URLs with their query."""
    import httpx

    return hasattr(httpx.HTTPTransport.handle_request, "__wrapped__")


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2]))))
