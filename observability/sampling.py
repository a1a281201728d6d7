"""Decides which rows a run gets, and which ticks of the scheduler have a span. Used by telemetry, on the loop.

A row that represents several runs contains their number (Application Insights: itemCount), so sums are exact.
Times are those of the runs and ticks, so nothing here waits. Each process has its own state.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final, Protocol

from jobs.policies.execution import MetricDetail, Reporting, RowSelection
from jobs.runs import Outcome, Run, Ticket, Trigger
from jobs.runs.outcomes import ReasonCode
from observability.invocations import Invocation

SAMPLE_INTERVAL: Final = timedelta(minutes=15)
"""Of the ordinary runs of a job, one has rows this often."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """A run and its rows. `events` and `availability`: the number of runs that its row represents; 0: no row."""

    run: Run
    events: int = 1
    availability: int = 1
    spans: bool = True
    metrics: MetricDetail = "all"
    check: bool = True
    """Whether the job's status follows from it (Datadog's service check)."""
    invocation: Invocation | None = None
    """Of the Functions host, in which it was performed."""

    @property
    def is_empty(self) -> bool:
        return not (self.events or self.availability or self.spans or self.check) and self.metrics == "none"


@dataclass(slots=True)
class _Sample:
    """The ordinary runs of a job with one outcome since the last one that had rows."""

    sent_at: datetime
    pending_runs: int = 0
    latest: RunReport | None = None


class Sampler:
    """Gives each run its report."""

    def __init__(self, every: timedelta = SAMPLE_INTERVAL) -> None:
        self._interval = every
        self._samples: dict[tuple[str, Outcome, ReasonCode | None, bool], _Sample] = {}
        self._down: set[str] = set()

    def make_report(self, run: Run, reporting: Reporting) -> RunReport:
        notable = self._is_notable(run)
        if not notable and "failures" in (reporting.events, reporting.availability):
            return self._make_sampled_report(run, reporting)
        weight = 1 if notable else 0
        return RunReport(
            run,
            events=_row_weight(reporting.events, weight),
            availability=_row_weight(reporting.availability, weight),
            spans=reporting.spans == "all" or (reporting.spans == "failures" and notable),
            metrics=reporting.metrics,
            check=reporting.availability != "none",
        )

    def remaining_reports(self) -> Iterator[RunReport]:
        """Yield, at the end, a report for the ordinary runs without a row so far. Their metrics have been sent."""
        for sample in self._samples.values():
            if sample.pending_runs and sample.latest is not None:
                yield _scale_report(sample.latest, sample.pending_runs)
                sample.pending_runs, sample.latest = 0, None

    def _is_notable(self, run: Run) -> bool:
        """Return whether users want to see this run: the target is down, slow, flapping or healthy again, or a user
        requested it."""
        if run.trigger is Trigger.BACKFILL:
            return run.outcome.down
        was_down = run.job in self._down
        if run.outcome.down:
            self._down.add(run.job)
            return True
        if run.outcome is not Outcome.SUCCEEDED:
            return run.trigger is Trigger.MANUAL
        self._down.discard(run.job)
        return was_down or run.degraded or run.retried or run.trigger is Trigger.MANUAL

    def _make_sampled_report(self, run: Run, reporting: Reporting) -> RunReport:
        # A run without an availability row must not represent one that has it, nor a skipped one that is unknown.
        key = (run.job, run.outcome, run.reason, run.trigger is Trigger.BACKFILL)
        sample = self._samples.get(key)
        is_first = sample is None
        if sample is None:
            sample = self._samples[key] = _Sample(run.finished_at)
        sample.pending_runs += 1
        due = is_first or run.finished_at - sample.sent_at >= self._interval
        weight = sample.pending_runs if due else 0
        report = RunReport(
            run,
            events=_row_weight(reporting.events, weight),
            availability=_row_weight(reporting.availability, weight),
            spans=reporting.spans == "all",
            metrics=reporting.metrics,
            check=reporting.availability != "none",
        )
        if due:
            sample.sent_at, sample.pending_runs, sample.latest = run.finished_at, 0, None
        else:
            sample.latest = RunReport(
                run,
                events=int(reporting.events == "failures"),
                availability=int(reporting.availability == "failures"),
                spans=False,
                metrics="none",
                check=False,
            )
        return report


def _row_weight(rows: RowSelection, weight: int) -> int:
    """`weight`: of the row that a run has under `failures`."""
    return {"all": 1, "none": 0}.get(rows, weight)


def _scale_report(report: RunReport, number: int) -> RunReport:
    return RunReport(
        report.run, report.events * number, report.availability * number, spans=False, metrics="none", check=False
    )


MAX_LINKED_RUNS: Final = 64
"""Runs that a span links. Application Insights stores a text of 8,192 characters for all links of a span."""


@dataclass(frozen=True, slots=True)
class TickPlanned:
    """A tick that planned runs. Not logged. `run_ids`: of at most MAX_LINKED_RUNS of them.

    `missed`: spans of due instants that passed without a tick.
    """

    at: datetime
    ended_at: datetime
    planned: int
    missed: int
    run_ids: tuple[str, ...]


class TickPlan(Protocol):
    """A plan of scheduler.planning."""

    @property
    def on_time(self) -> Sequence[Ticket]: ...

    @property
    def caught_up(self) -> Sequence[Sequence[Ticket]]: ...

    @property
    def missed(self) -> Sized: ...

    @property
    def ticket_count(self) -> int: ...


class TickSampler:
    """`failures`: ticks that found missed instants, and one of the others in 15 minutes."""

    def __init__(self, spans: RowSelection) -> None:
        self._spans = spans
        self._sent_at: datetime | None = None

    def select_tick(
        self, at: datetime, ended_at: datetime, tickets: Iterable[Ticket], planned: int, missed: int
    ) -> TickPlanned | None:
        """Return the tick if it has a span. `planned`: the number of tickets."""
        if self._spans == "none" or not (planned or missed):
            return None
        is_due = self._sent_at is None or at - self._sent_at >= SAMPLE_INTERVAL
        if self._spans == "failures" and not (missed or is_due):
            return None
        self._sent_at = at
        ids = tuple(ticket.id for ticket in islice(tickets, MAX_LINKED_RUNS))
        return TickPlanned(at, ended_at, planned, missed, ids)
