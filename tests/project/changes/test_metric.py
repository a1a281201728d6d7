"""Adding a metric of runs touches its declaration, its value and its row for operators; the exporters follow."""

from __future__ import annotations

from tests.project.changes.sample_change import SampleChangeFactory

MEASURE = """
from observability.exporters.measurements import measure_run
from tests.observability.runs import run

print({metric.name: value for metric, value in measure_run(run())}["scheduler.job.failed_attempts"])
"""


def test_a_metric(sample_change: SampleChangeFactory) -> None:
    change = sample_change("a metric")
    change.insert(
        "observability/names/metrics.py",
        after="ATTEMPT_COUNTS: Final",
        text='FAILED: Final = Metric("scheduler.job.failed_attempts", "Failed ones.", "", "distribution", (TAG_JOB,))',
    )
    change.replace("observability/names/metrics.py", "ATTEMPT_COUNTS, RETRIES, ", "ATTEMPT_COUNTS, FAILED, RETRIES, ")
    change.insert(
        "observability/exporters/measurements.py",
        after="yield names.ATTEMPT_COUNTS",
        text="        yield names.FAILED, float(sum(not each.succeeded for each in run.attempts))",
    )
    change.insert(
        "docs/telemetry.md",
        after="| `scheduler.job.attempts` |",
        text="| `scheduler.job.failed_attempts` | | distribution | job | Failed ones. |",
    )

    assert change.python(MEASURE) == "0.0\n"
    change.pytest("tests/observability/test_names.py")
    change.assert_touches_documented_files()
