"""Watches the scheduler itself: its ticks, the runs of every job, and the queue.

    activity.py         what this process submits and starts
    job_watch.py        compares every scheduled job with its due instants
    store_failures.py   the last errors of claims and results
    rules.py            the rules, pure
    report.py           a report as data
    program_gauges.py   gauges of alerting, rollups and running
    watchdog.py         makes a report every half minute, for health, API and telemetry

Built by scheduler.app; the embedded host runs it in the background, the Functions host at each tick.
"""

from scheduler.watchdog.activity import RunActivity, TrackedRuns
from scheduler.watchdog.gauges import WATCHDOG_GAUGES
from scheduler.watchdog.job_watch import JobWatch
from scheduler.watchdog.report import JobsReport, LateJob, Lateness, WatchdogReport
from scheduler.watchdog.store_failures import StoreFailures
from scheduler.watchdog.watchdog import Watchdog

__all__ = [
    "WATCHDOG_GAUGES",
    "JobWatch",
    "JobsReport",
    "LateJob",
    "Lateness",
    "RunActivity",
    "StoreFailures",
    "TrackedRuns",
    "Watchdog",
    "WatchdogReport",
]
