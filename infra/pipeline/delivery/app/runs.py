"""Counts scheduled runs, and finds jobs that fail now and did not before."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from delivery.app.api import RunAnswer, SchedulerApi
from delivery.clock import format_instant, parse_instant
from delivery.record import RunBaseline

BUCKET = 10.0
"""Seconds of the spans in which runs are counted."""
MAX_PAGES = 20
"""Pages of runs that are read at once. More runs than these are counted over a shorter time."""
MIN_RUNS_FOR_RATE = 20
"""Runs below which the share of failed ones is not compared."""
_FAILED = ("failed", "timed_out", "rejected")
_EXECUTED = ("succeeded", *_FAILED)
_SCHEDULED = ("schedule", "dependency")
"""Triggers that count: the runs of operators and of this verification do not."""
_NAMED_JOBS = 5
"""Jobs that a message names."""


@dataclass
class ScheduledRuns:
    """The scheduled runs that were due in a range. `latest`: whether the latest run of each job failed."""

    since: datetime
    until: datetime
    due: list[datetime] = field(default_factory=list)
    failed: int = 0
    failing: set[str] = field(default_factory=set)
    latest: dict[str, bool] = field(default_factory=dict)

    def add(self, run: RunAnswer) -> None:
        """Add a run. Runs come with the newest first."""
        is_executed = run.outcome in _EXECUTED or run.state == "running"
        if run.trigger not in _SCHEDULED or not is_executed:
            return
        self.due.append(run.due_at)
        if run.state != "running":
            has_failed = run.outcome in _FAILED
            self.latest.setdefault(run.job, has_failed)
            if has_failed:
                self.failed += 1
                self.failing.add(run.job)

    @property
    def seconds(self) -> float:
        return (self.until - self.since).total_seconds()

    @property
    def failing_now(self) -> set[str]:
        """The jobs whose latest run failed."""
        return {job for job, has_failed in self.latest.items() if has_failed}


def read_runs(api: SchedulerApi, since: datetime, until: datetime) -> ScheduledRuns:
    """Read the runs of a range, at most MAX_PAGES pages: then the sample begins later. Raises AppError."""
    sample = ScheduledRuns(since, until)
    oldest = until
    for number, page in enumerate(api.iterate_runs(since, until), 1):
        for run in page:
            sample.add(run)
            oldest = min(oldest, run.due_at)
        if number == MAX_PAGES:
            # The oldest instant may be incomplete: count from the next second on.
            sample.since = min(oldest + timedelta(seconds=1), until)
            sample.due = [due for due in sample.due if due >= sample.since]
            break
    return sample


def summarize(sample: ScheduledRuns) -> RunBaseline:
    """Return what a record stores of the runs before a deployment."""
    buckets = [0] * max(math.floor(sample.seconds / BUCKET), 1)
    for due in sample.due:
        place = math.floor((due - sample.since).total_seconds() / BUCKET)
        if 0 <= place < len(buckets):
            buckets[place] += 1
    return RunBaseline(
        since=format_instant(sample.since),
        bucket=BUCKET,
        buckets=buckets,
        failed=sample.failed,
        failing=sorted(sample.failing),
        jobs=len(sample.latest),
    )


def fewest_runs(baseline: RunBaseline, seconds: float) -> float:
    """Return the smallest number of runs in any span of this length before the deployment.

    The smallest, because schedules have bursts: at a full hour more runs are due than five minutes later.
    """
    width = math.floor(seconds / baseline.bucket)
    if width < 1 or not baseline.buckets:
        return 0.0
    if width >= len(baseline.buckets):
        return sum(baseline.buckets) * width / len(baseline.buckets)
    return min(sum(baseline.buckets[start : start + width]) for start in range(len(baseline.buckets) - width + 1))


def find_missing_runs(baseline: RunBaseline, sample: ScheduledRuns, share: float) -> str:
    """Return a problem if fewer runs were executed than before; empty: none."""
    expected = fewest_runs(baseline, sample.seconds)
    found = len(sample.due)
    if found >= math.floor(share * expected):
        return ""
    return (
        f"{found} scheduled runs in {sample.seconds:.0f} s, expected at least {math.floor(share * expected)}: "
        f"{found * 60 / sample.seconds:.3g} a minute, at least {expected * 60 / sample.seconds:.3g} before the "
        "deployment. If this release removes jobs, lower verify.runs in the environment file."
    )


def find_new_failures(baseline: RunBaseline, sample: ScheduledRuns, share: float) -> str:
    """Return a problem if more jobs or runs fail than before; empty: none."""
    new = sorted(sample.failing_now - set(baseline.failing))
    if len(new) > math.floor(share * len(sample.latest)):
        named = ", ".join(new[:_NAMED_JOBS]) + (f" and {len(new) - _NAMED_JOBS} more" if len(new) > _NAMED_JOBS else "")
        return f"{len(new)} of {len(sample.latest)} jobs fail that did not fail before the deployment: {named}"
    return _find_higher_rate(baseline, sample, share)


def _find_higher_rate(baseline: RunBaseline, sample: ScheduledRuns, share: float) -> str:
    before, after = sum(baseline.buckets), len(sample.due)
    if min(before, after) < MIN_RUNS_FOR_RATE:
        return ""
    rate_before, rate = min(baseline.failed / before, 1.0), sample.failed / after
    deviation = math.sqrt(max(rate_before * (1 - rate_before), 0.01) / after)
    if rate <= rate_before + share + 3 * deviation:
        return ""
    return f"{rate:.0%} of the runs fail, {rate_before:.0%} before the deployment"


def baseline_instant(baseline: RunBaseline) -> datetime | None:
    """Return the instant at which the baseline begins."""
    return parse_instant(baseline.since) if baseline.since else None
