"""Portfolios for the tests of this folder, and a page of metrics about their jobs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from observability.generation.portfolio import Portfolio, PortfolioJob, PortfolioObjective
from tests.parts.http_server import Answer, Request
from tests.parts.threaded_server import serve_in_thread

CHECKOUT = PortfolioJob(
    "checkout",
    "http",
    "The way to pay.",
    {"team": "payments"},
    ("shop",),
    60.0,
    "payments",
    PortfolioObjective(99.9, 30),
    has_circuit=True,
)
SEARCH = PortfolioJob("search.v2", "http", tags={"team": "find"}, groups=("shop",), interval_s=300.0, owner="find")
NIGHTLY = PortfolioJob("nightly", "heartbeat", interval_s=86_400.0)
PORTFOLIO = Portfolio(
    (CHECKOUT, NIGHTLY, SEARCH),
    environment="prod",
    service="checks",
    datadog_env="prod",
    datadog_service="checks",
    exported_tags=("team",),
)

_HISTOGRAMS = ("duration", "response_time", "lateness")
_GAUGES = ("degraded", "blind", "paused", "incident_open", "circuit_open", "dead_letters")


def make_page(number: int, now: float) -> str:
    """Return the page of the scrape with this number: each scrape has more runs than the one before."""
    lines = ['scheduler_build_info{version="1"} 1', 'scheduler_circuit_open{circuit="group:shop"} 1']
    for job in PORTFOLIO.jobs:
        label = f'job_name="{job.name}"'
        lines += [
            f'scheduler_job_info{{{label},kind="{job.kind}",tag_team="{job.tags.get("team", "")}"}} 1',
            f"scheduler_job_up{{{label}}} {int(job is not SEARCH)}",
            *(f"scheduler_job_{gauge}{{{label}}} {int(job is SEARCH)}" for gauge in _GAUGES if gauge != "paused"),
            f"scheduler_job_paused{{{label}}} 0",
            f"scheduler_job_last_run_timestamp_seconds{{{label}}} {now - (200_000 if job is NIGHTLY else 30)}",
            f"scheduler_job_last_success_timestamp_seconds{{{label}}} {now - 30}",
            f"scheduler_job_last_run_duration_seconds{{{label}}} 0.2",
            f"scheduler_job_next_run_timestamp_seconds{{{label}}} {now + 30}",
            f"scheduler_job_interval_seconds{{{label}}} {job.interval_s}",
            f"scheduler_job_certificate_expiry_timestamp_seconds{{{label}}} {now + 864_000}",
            f'scheduler_job_runs_total{{{label},outcome="succeeded"}} {9 * number}',
            f'scheduler_job_runs_total{{{label},outcome="failed"}} {number}',
            f"scheduler_job_attempts_total{{{label}}} {12 * number}",
            f"scheduler_job_retried_runs_total{{{label}}} {2 * number}",
            f"scheduler_job_degraded_runs_total{{{label}}} {number}",
        ]
        for name in _HISTOGRAMS:
            histogram = f"scheduler_job_{name}_seconds"
            lines += [
                f'{histogram}_bucket{{{label},le="0.1"}} {5 * number}',
                f'{histogram}_bucket{{{label},le="1.0"}} {9 * number}',
                f'{histogram}_bucket{{{label},le="+Inf"}} {10 * number}',
                f"{histogram}_sum{{{label}}} {3 * number}",
                f"{histogram}_count{{{label}}} {10 * number}",
            ]
    slo = 'slo="checkout",job_name="checkout"'
    lines += [
        'scheduler_incidents_open{severity="critical"} 1',
        "scheduler_notifications_pending 0",
        "scheduler_notifications_undelivered 1",
        "scheduler_watchdog_tick_gap_seconds 400",
        "scheduler_watchdog_silent_jobs 1",
        "scheduler_watchdog_queue_depth 1",
        "scheduler_watchdog_queue_age_seconds 0",
        "scheduler_watchdog_poison_depth 0",
        "scheduler_watchdog_open_runs 1",
        "scheduler_watchdog_store_time_seconds 0.01",
        f"scheduler_slo_target_ratio{{{slo}}} 0.999",
        f"scheduler_slo_valid_runs_total{{{slo}}} {10 * number}",
        f"scheduler_slo_bad_runs_total{{{slo}}} {5 * number}",
        f"scheduler_slo_error_budget_remaining_ratio{{{slo}}} 0.4",
        f'scheduler_slo_burn_rate{{{slo},window="1h"}} 15',
        f'scheduler_slo_burn_rate{{{slo},window="5m"}} 15',
    ]
    return "\n".join(lines) + "\n"


@contextmanager
def serve_page(make: Callable[[int], str] = lambda number: make_page(number, time.time())) -> Iterator[int]:
    """Serve a page on loopback; yields the port. `make`: the page of the scrape with this number, from 1."""
    scrapes: dict[str, int] = {}

    def answer(request: Request) -> Answer:
        number = scrapes[request.target] = scrapes.get(request.target, 0) + 1
        return Answer(200, {"Content-Type": "text/plain; version=0.0.4"}, make(number).encode())

    with serve_in_thread(answer) as url:
        yield int(url.rpartition(":")[2])
