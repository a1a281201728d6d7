"""Watches the scheduler itself: do ticks come, does every job run, does the queue move?

    Noted, Taking, ...   what this process takes and begins, noted in passing            noted.py
    JobWatch             every scheduled job against its due instants, a look at a time   jobs.py
    StoreTrouble         what claims and results met in the store last                    trouble.py
    judge, parts_of      the rules, pure                                                  judging.py
    Report               what a look found, as data                                       report.py
    Watchdog             a look each half minute, told to health, API and telemetry       watching.py

Built by scheduler.app; the embedded host lets it run in the background, the Functions host makes a look at each tick.
"""

from scheduler.watchdog.activity import RunActivity, TrackedRuns, TrackedWorker
from scheduler.watchdog.job_watch import JobWatch
from scheduler.watchdog.report import WATCHDOG_GAUGES, JobsReport, LateJob, Lateness, WatchdogReport
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
    "TrackedWorker",
    "Watchdog",
    "WatchdogReport",
]
