"""Bytes and rows that a run costs in Application Insights and Datadog, for each setting of `telemetry`.

Runs of healthy jobs, of which one in 500 fails, are reported by the program's own exporters: to an ingestion endpoint
on loopback by Azure Monitor's SDK, an hour in simulated time; what arrives is weighed as JSON without compression, as
Application Insights bills about that. Datadog's payloads are weighed as they are made, compressed and not.

    ./dev bench telemetry-cost
    ./dev bench telemetry-cost --jobs 50 --every 10
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench._parts import ROOT, show
from jobs.policies.execution import REPORT_EVERYTHING, Reporting
from jobs.redaction import Redactor
from jobs.runs import Attempt, ErrorClass, Outcome, Phases, Run, Ticket
from observability.events import TelemetryEvent
from observability.exporters.background import DeliveryCounts, Pace, ShutdownSignal
from observability.exporters.datadog_payloads import DatadogSource, build_payloads
from observability.exporters.measurements import MetricWindow
from observability.exporters.spool import Spool
from observability.sampling import Sampler

MINUTES = 60
ONE_FAILS_IN = 500
START = datetime(2031, 1, 1, tzinfo=UTC)
KEY = "00000000-1111-2222-3333-444444444444"
NOTHING = Reporting(events="none", availability="none", spans="none", metrics="none")

VARIANTS: dict[str, Reporting] = {
    "everything, as the SDK sends it (0.1.0)": REPORT_EVERYTHING,
    "everything": REPORT_EVERYTHING,
    "default": Reporting(),
    "default, metrics: total": Reporting(metrics="total"),
    **{
        f"{signal}: {choice}": NOTHING.model_copy(update={signal: choice})
        for signal in ("events", "availability", "spans")
        for choice in ("all", "failures")
    },
    **{f"metrics: {choice}": NOTHING.model_copy(update={"metrics": choice}) for choice in ("all", "job", "total")},
    "nothing": NOTHING,
}
UNTRIMMED = next(iter(VARIANTS))


@dataclass
class Weighed:
    """What arrived: bytes and rows by kind."""

    size: Counter[str] = field(default_factory=Counter)
    rows: Counter[str] = field(default_factory=Counter)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=20)
    options.add_argument("--every", type=int, default=60, metavar="SECONDS", help="between two runs of a job")
    options.add_argument("--variant", help=argparse.SUPPRESS)
    options.add_argument("--endpoint", help=argparse.SUPPRESS)
    chosen = options.parse_args()
    if chosen.variant is not None:
        report_all(chosen.variant, chosen.endpoint, chosen.jobs, chosen.every)
        return
    number = chosen.jobs * MINUTES * 60 // chosen.every
    print(f"{chosen.jobs} jobs each {chosen.every} s for an hour: {number} runs\n")
    weighed = {name: _application_insights(name, chosen.jobs, chosen.every) for name in VARIANTS}
    before = sum(weighed[UNTRIMMED].size.values())
    show(
        ("Application Insights, per run", "bytes", "rows", "of 0.1.0, %"),
        [
            (
                name,
                sum(found.size.values()) / number,
                sum(found.rows.values()) / number,
                100 * sum(found.size.values()) / before,
            )
            for name, found in weighed.items()
        ],
    )
    print()
    show(
        ("Datadog, per run", "bytes", "gzipped", "log entries", "custom metrics a job"),
        [
            (name, *_datadog(choice, chosen.jobs, chosen.every))
            for name, choice in VARIANTS.items()
            if name != UNTRIMMED
        ],
    )


def _application_insights(variant: str, jobs: int, every: int) -> Weighed:
    """In a separate process, as the SDK's providers are global to it."""
    weighed = Weighed()
    with _endpoint(weighed) as url, tempfile.TemporaryDirectory() as folder:
        arguments = ("--variant", variant, "--endpoint", url, "--jobs", str(jobs), "--every", str(every))
        environ = {**os.environ, "TMPDIR": folder}
        subprocess.run([sys.executable, "-m", "bench.telemetry_cost", *arguments], cwd=ROOT, env=environ, check=True)
    return weighed


def report_all(variant: str, endpoint: str, jobs: int, every: int) -> None:
    """Report the hour, a minute at a time; the SDK exports metrics after each."""
    from observability.exporters import application_insights, application_insights_sdk

    if variant == UNTRIMMED:
        application_insights_sdk.trim_envelopes = lambda *_: None
    redactor = Redactor()
    now = START
    delivery = application_insights.ApplicationInsightsDelivery(
        f"InstrumentationKey={KEY};IngestionEndpoint={endpoint}/",
        environment="prod",
        version="0.1.0",
        role="scheduler",
        redactor=redactor,
        spool=Spool(),
        max_age=3600.0,
        window=MetricWindow(now=lambda: now.timestamp()),
    )
    closing = ShutdownSignal()
    delivery.open(DeliveryCounts("application_insights", redactor), closing, Pace())
    sampler = Sampler()
    for minute in range(MINUTES):
        events = list(_reports(sampler, VARIANTS[variant], minute, jobs, every))
        now = START + timedelta(minutes=minute + 1)
        delivery.deliver(events)
        delivery.export_metrics()
    delivery.deliver(list(sampler.remaining_reports()))
    closing.start(60.0)
    delivery.close()


def _datadog(choice: Reporting, jobs: int, every: int) -> tuple[float, float, float, float]:
    """Payloads each ten seconds would only be more; each minute is what its compression likes better."""
    identity = DatadogSource(env="prod", service="scheduler", version="0.1.0", host="machine-1")
    sampler, redactor = Sampler(), Redactor()
    size = packed = entries = 0
    metrics: set[tuple[str, str, tuple[str, ...]]] = set()
    for minute in range(MINUTES):
        events = list(_reports(sampler, choice, minute, jobs, every))
        for payload in build_payloads(events, identity, minute, redactor, Pace()):
            text = json.dumps(payload.entries).encode()
            size, packed = size + len(text), packed + len(gzip.compress(text))
            entries += len(payload.entries) if payload.kind == "logs" else 0
            if payload.kind in ("series", "distributions"):
                metrics |= {(payload.kind, each["metric"], tuple(each["tags"])) for each in payload.entries}
    number = jobs * MINUTES * 60 // every
    # Of a distribution Datadog keeps count, sum, minimum, maximum and average.
    custom = sum(5 if kind == "distributions" else 1 for kind, _, _ in metrics)
    return size / number, packed / number, entries / number, custom / jobs


def _reports(sampler: Sampler, choice: Reporting, minute: int, jobs: int, every: int) -> Iterator[TelemetryEvent]:
    for second in range(minute * 60, minute * 60 + 60):
        if second % every == 0:
            for job in range(jobs):
                number = second // every * jobs + job
                report = sampler.make_report(
                    _run(job, second, fails=number % ONE_FAILS_IN == ONE_FAILS_IN // 2), choice
                )
                if not report.is_empty:
                    yield report


def _run(job: int, second: int, *, fails: bool) -> Run:
    due_at = START + timedelta(seconds=second)
    ticket = Ticket.scheduled(f"checkout-{job}", due_at, "abc")
    phases = Phases(dns_ms=1.25, connect_ms=2.125, tls_ms=3.5, first_byte_ms=11.75, total_ms=20.375)
    attempt = Attempt(1, due_at + timedelta(milliseconds=2), phases, status=200)
    if fails:
        message = "checkout.internal:8443 refused the connection"
        attempt = replace(attempt, status=None, error=ErrorClass.CONNECTION_REFUSED, message=message)
    return Run(
        ticket.id,
        ticket.job,
        ticket.trigger,
        Outcome.FAILED if fails else Outcome.SUCCEEDED,
        due_at,
        attempt.started_at,
        attempt.started_at + timedelta(milliseconds=21),
        (attempt,),
        error=attempt.error,
        message=attempt.message,
        endpoint="https://checkout.internal:8443/health",
        generation="abc",
        correlation_id=ticket.id,
    )


@contextmanager
def _endpoint(weighed: Weighed) -> Iterator[str]:
    """Application Insights' ingestion on loopback."""

    class Ingestion(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            items = json.loads(body) if body.lstrip().startswith(b"[") else [json.loads(each) for each in body.split()]
            for item in items:
                kind = item["data"]["baseType"]
                weighed.rows[kind] += 1
                weighed.size[kind] += len(json.dumps(item, separators=(",", ":")).encode())
            answer = json.dumps({"itemsReceived": len(items), "itemsAccepted": len(items), "errors": []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Ingestion)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":
    main()
