"""Watches the scheduler itself: its ticks, the runs of every job, and the queue.

    job_watch.py        compares every scheduled job with its due instants, by what this process submits and starts
    rules.py            the rules, pure
    report.py           a report as data, with its gauges
    program_gauges.py   gauges of alerting, rollups and running
    watchdog.py         makes a report every half minute, for health, API and telemetry
    self_watch.py       pings a URL, so that another monitor reports when the scheduler does not work

Built by scheduler.app; the embedded host runs it in the background, the Functions host at each tick.
"""

from scheduler.watchdog.job_watch import JobWatch, RunActivity, StoreFailures, TrackedRuns
from scheduler.watchdog.report import WATCHDOG_GAUGES, JobsReport, LateJob, Lateness, WatchdogReport
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
