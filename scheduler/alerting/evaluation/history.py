"""Reads the samples of a job that its rules judge, from its stored runs. Used by evaluator.

Where one process executes all runs, the samples of a job in trouble are retained after they were read once, and
extended by its later runs.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol

from jobs.alerting.needs import AlertNeeds
from jobs.alerting.samples import COUNTED_TRIGGERS, Sample, sample_of_run
from jobs.alerting.subject import SampleHistory, history_of
from jobs.runs import Run, Trigger
from jobs.runs.reasons import ReasonCode
from scheduler.stores.runs.pages import RunPage

PAGE_SIZE = 50
MAX_SAMPLES = 5000
"""Of one job. A longer window is judged by its newest samples."""
_WINDOW_MARGIN = timedelta(minutes=10)
"""A run that was due before the window may have ended in it."""
_SUSPENDED = frozenset({ReasonCode.JOB_PAUSED, ReasonCode.JOB_DISABLED})


class RunPages(Protocol):
    async def list_page(self, job: str | None = None, *, limit: int = 50, continuation: str | None = None) -> RunPage:
        """See RunReads.list_page."""
        ...


CountsAt = Callable[[str, datetime], bool]
"""Whether a run of a job that was due at an instant counts: false in a window with `counts: false`."""


class SampleReader:
    """`retains`: no other process executes runs."""

    def __init__(self, runs: RunPages, counts_at: CountsAt, *, retains: bool) -> None:
        self._runs = runs
        self._counts_at = counts_at
        self._retains = retains
        self._held: dict[str, list[Sample]] = {}
        self._held_from: dict[str, datetime | None] = {}

    def sample_of(self, run: Run) -> Sample | None:
        """Return what the run counts as; None if it takes no place."""
        sample = sample_of_run(run)
        return sample if sample is not None and self._counts_at(run.job, run.due_at) else None

    def add(self, job: str, sample: Sample) -> None:
        """Extend the retained samples of a job, if there are any."""
        held = self._held.get(job)
        if held is not None:
            held.append(sample)
            del held[:-MAX_SAMPLES]

    def forget(self, job: str) -> None:
        """Release the retained samples: the job is healthy, or was suspended."""
        self._held.pop(job, None)
        self._held_from.pop(job, None)

    async def read(
        self, job: str, needs: AlertNeeds, now: datetime, triggers: Collection[Trigger] = COUNTED_TRIGGERS
    ) -> SampleHistory:
        """Return at least the samples that are needed, of any trigger; enough of them have one of `triggers`.

        Raises StoreError.
        """
        held = self._held.get(job)
        if held is None:
            held, counts_from = await self._read(job, needs, now, triggers)
            if self._retains:
                self._held[job], self._held_from[job] = held, counts_from
            return history_of(held, counts_from)
        return history_of(held, self._held_from.get(job))

    async def _read(
        self, job: str, needs: AlertNeeds, now: datetime, triggers: Collection[Trigger]
    ) -> tuple[list[Sample], datetime | None]:
        """Read back from the newest run to the last suspension at most."""
        found: list[Sample] = []
        missing, since = needs.samples, now - needs.window - _WINDOW_MARGIN
        continuation: str | None = None
        while True:
            page = await self._runs.list_page(job, limit=PAGE_SIZE, continuation=continuation)
            for record in page.records:
                run = record.run
                if run is None:
                    continue
                if run.reason in _SUSPENDED:
                    return found, run.due_at
                if missing <= 0 and (not needs.window or run.due_at < since):
                    return found, None
                sample = self.sample_of(run)
                if sample is not None:
                    found.append(sample)
                    missing -= sample.trigger in triggers
            continuation = page.continuation
            if continuation is None or len(found) >= MAX_SAMPLES:
                return found, None
