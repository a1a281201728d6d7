"""Decides which finished runs are judged: none of a healthy job, and that at little cost. Used by evaluator."""

from __future__ import annotations

from collections.abc import Container, Set

from jobs.alerting.evaluation import Activity, CompiledRules
from jobs.alerting.facts import Sample
from scheduler.alerting.evaluation.history import SampleReader
from scheduler.alerting.evaluation.known_alerts import KnownAlerts


class RunObserver:
    """`watched`: jobs with a bad run in the window of a rule. `shares_runs`: other processes execute runs, too."""

    def __init__(
        self, alerts: KnownAlerts, samples: SampleReader, watched: Container[str], *, shares_runs: bool
    ) -> None:
        self._alerts = alerts
        self._samples = samples
        self._watched = watched
        self._shares_runs = shares_runs
        self._activity: dict[str, Activity] = {}
        self._observed: set[str] = set()
        """Jobs with rules about windows of which a run was observed."""

    def observe(self, job: str, rules: CompiledRules, sample: Sample) -> bool:
        """Return whether the rules must be judged after a run."""
        self._samples.add(job, sample)
        before = self._activity.get(job)
        activity = rules.observe(before, sample)
        if activity is not None:
            self._activity[job] = activity
        elif before is not None:
            del self._activity[job]
            self._samples.forget(job)
        if rules.needs.longest_window and (job not in self._observed or job in self._watched):
            # After a start, bad runs of before it may be in the window.
            self._observed.add(job)
            return True
        if activity is not None and (rules.needs.counts_within or rules.is_bad(sample)):
            # Counts change with each run: a good one that leaves a window raises the share of the bad ones.
            return True
        if sample.is_failed and (rules.needs.has_circuit or rules.needs.dead_letters_within):
            return True
        return self._alerts.has_any(job) or (self._shares_runs and before is not None)

    def forget(self, job: str) -> None:
        """Forget a job that was suspended: runs of before do not count."""
        self._samples.forget(job)
        self._activity.pop(job, None)

    def retain_only(self, jobs: Set[str]) -> None:
        """Forget all jobs but these, which have rules."""
        for job in self._activity.keys() - jobs:
            del self._activity[job]
        self._observed &= jobs
