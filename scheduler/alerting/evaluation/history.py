"""Reads the samples of a job that its rules judge, from its stored runs. Used by evaluator.

Where one process executes all runs, the samples of a job in trouble are retained after they were read once, and
extended by its later runs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from jobs.alerting.evaluation import CompiledRules
from jobs.alerting.facts import Sample, SampleHistory, history_of, sample_of_run
from jobs.runs import Run
from jobs.runs.outcomes import ReasonCode
from scheduler.stores.runs.pages import RunPage

PAGE_SIZE = 50
MAX_RUNS = 5000
"""Of one job. A longer window is judged by its newest runs."""
_WINDOW_MARGIN = timedelta(minutes=10)
"""A run that was due before the window may have ended in it."""
_SUSPENDED = frozenset({ReasonCode.JOB_PAUSED, ReasonCode.JOB_DISABLED})


class RunPages(Protocol):
    async def list_page(self, job: str | None = None, *, limit: int = 50, continuation: str | None = None) -> RunPage:
        """See RunReads.list_page."""
        ...


CountsAt = Callable[[str, datetime], bool]
"""Whether a run of a job that was due at an instant counts: false in a window with `counts: false`."""


@dataclass(slots=True)
class _Retained:
    """`rules`: those for which the samples were read; others may need more."""

    rules: CompiledRules
    samples: list[Sample]
    counts_from: datetime | None


class SampleReader:
    """`retains`: no other process executes runs."""

    def __init__(self, runs: RunPages, counts_at: CountsAt, *, retains: bool) -> None:
        self._runs = runs
        self._counts_at = counts_at
        self._retains = retains
        self._retained: dict[str, _Retained] = {}
        self._reading: dict[str, object] = {}
        """What identifies the read of a job, unless a run of it has finished since it began."""

    def sample_of(self, run: Run) -> Sample | None:
        """Return what the run counts as; None if it takes no place."""
        sample = sample_of_run(run)
        return sample if sample is not None and self._counts_at(run.job, run.due_at) else None

    def add(self, job: str, sample: Sample) -> None:
        """Extend the retained samples of a job, if there are any."""
        self._reading.pop(job, None)
        retained = self._retained.get(job)
        if retained is not None:
            retained.samples.append(sample)
            del retained.samples[:-MAX_RUNS]

    def forget(self, job: str) -> None:
        """Release the retained samples: the job is healthy, or was suspended."""
        self._reading.pop(job, None)
        self._retained.pop(job, None)

    async def read(self, job: str, rules: CompiledRules, now: datetime) -> SampleHistory:
        """Return at least the samples that the rules need, of any trigger. Raises StoreError."""
        retained = self._retained.get(job)
        if retained is None or retained.rules is not rules:
            self._reading[job] = reading = object()
            samples, counts_from = await self._read(job, rules, now)
            retained = _Retained(rules, samples, counts_from)
            if self._reading.get(job) is reading:
                del self._reading[job]
                if self._retains:
                    self._retained[job] = retained
        return history_of(retained.samples, retained.counts_from)

    async def read_stored(self, job: str, rules: CompiledRules, now: datetime) -> SampleHistory:
        """Return the same from the store, and retain nothing."""
        return history_of(*await self._read(job, rules, now))

    async def _read(self, job: str, rules: CompiledRules, now: datetime) -> tuple[list[Sample], datetime | None]:
        """Read back from the newest run to the last suspension at most."""
        found: list[Sample] = []
        missing = _MissingSamples(rules, now)
        continuation: str | None = None
        runs = 0
        while True:
            page = await self._runs.list_page(job, limit=PAGE_SIZE, continuation=continuation)
            for record in page.records:
                run = record.run
                if run is None:
                    continue
                if run.reason in _SUSPENDED:
                    return found, run.due_at
                if missing.is_complete(run.due_at):
                    return found, None
                sample = self.sample_of(run)
                if sample is not None:
                    found.append(sample)
                    missing.count(sample)
            continuation, runs = page.continuation, runs + len(page.records)
            if continuation is None or runs >= MAX_RUNS:
                return found, None


class _MissingSamples:
    """What is missing of the samples that rules need, while runs are read back."""

    def __init__(self, rules: CompiledRules, now: datetime) -> None:
        window = rules.needs.window
        self._since = now - window - _WINDOW_MARGIN if window else None
        self._missing = dict(rules.sample_needs)

    def is_complete(self, due_at: datetime) -> bool:
        """Return whether neither a run that was due at this instant nor earlier ones are needed."""
        return not self._missing and (self._since is None or due_at < self._since)

    def count(self, sample: Sample) -> None:
        for triggers in [each for each in self._missing if sample.trigger in each]:
            self._missing[triggers] -= 1
            if not self._missing[triggers]:
                del self._missing[triggers]
