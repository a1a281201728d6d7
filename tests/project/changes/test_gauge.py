"""Adding a gauge touches its declaration and its row for operators; the exporters follow."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

MEASURE = """
from datetime import UTC, datetime
from observability.telemetry import Telemetry
from scheduler.watchdog.report import read_gauges
from scheduler.watchdog.report import JobsReport, WatchdogReport
from tests.observability.fakes import RecordingExporter

exporter = RecordingExporter()
Telemetry([exporter]).gauges(read_gauges(WatchdogReport(datetime.now(UTC), jobs=JobsReport(7, ()))))
print({each.metric.name: each.values[0] for each in exporter.events[0].measured}["scheduler.watchdog.watched_jobs"])
"""


def test_a_gauge(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a gauge")
    change.insert(
        "scheduler/watchdog/report.py",
        after="WATCHDOG_GAUGES = (",
        text="""    WatchdogGauge(
        "watched_jobs",
        "Scheduled jobs that are neither disabled nor paused.",
        "",
        lambda report: _read(report.jobs, lambda jobs: jobs.watched),
    ),""",
    )
    change.insert(
        "docs/telemetry.md",
        before="| `scheduler.watchdog.tick_gap` |",
        text="| `scheduler.watchdog.watched_jobs` | | gauge | | Scheduled jobs that are neither disabled nor paused. |",
    )

    change.insert(
        "docs/telemetry.md",
        before="| `scheduler_watchdog_tick_gap_seconds` |",
        text="| `scheduler_watchdog_watched_jobs` | | gauge | | Scheduled jobs that are neither disabled nor paused. |",
    )

    assert change.python(MEASURE) == "7.0\n"
    change.pytest("tests/observability/test_names.py")
    change.assert_touches_documented_files()
