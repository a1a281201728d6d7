"""Reads what the rules of a job judge: the samples of its stored runs, and what else its conditions need.

Where one process executes all runs, the samples of a job in trouble are retained after they were read once, and
extended by its later runs. Runs that were due in a window with `counts: false` do not count. Each source of other facts
is a port of the program; only what `AlertNeeds` requires is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from jobs.alerting.facts import (
    MAX_WINDOW,
    AlertNeeds,
    CircuitFact,
    Sample,
    SampleHistory,
    SecretExpiryFact,
    SubjectFacts,
    history_of,
    sample_of_run,
)
from jobs.alerting.rule import CompiledRules
from jobs.definition import JobDefinition
from jobs.incidents.suppression.finding import SuppressionSet, counts_as_sample
from jobs.incidents.suppression.windows import MaintenanceWindow, RequestedWindow
from jobs.ports import CircuitStateStore
from jobs.running.circuit_state import CircuitCondition, load_state
from jobs.runs import Run
from jobs.runs.outcomes import ReasonCode
from scheduler.alerting.evaluation.burn_rates import RunCountReader
from scheduler.alerting.evaluation.compared_hours import ComparedHoursReader
from scheduler.alerting.rule_book import RuleBook
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.runs.pages import RunPage


class CountedRuns:
    """`requested`: returns the windows that users and pipelines have requested, as far as they are known."""

    def __init__(self, book: Callable[[], RuleBook], requested: Callable[[], tuple[RequestedWindow, ...]]) -> None:
        self._book = book
        self._requested = requested
        self._computed_for: tuple[tuple[MaintenanceWindow, ...], tuple[RequestedWindow, ...]] = (), ()
        self._windows = SuppressionSet()

    def counts(self, job: str, at: datetime) -> bool:
        book, requested = self._book(), self._requested()
        defined = book.snapshot.alerting.windows if book.snapshot.alerting.parts else ()
        if not defined and not requested:
            return True
        if self._computed_for != (defined, requested):
            self._computed_for = defined, requested
            self._windows = SuppressionSet(
                tuple(each for each in defined if not each.counts),
                tuple(each for each in requested if not each.window.counts),
            )
        return not self._windows.sources or counts_as_sample(book.describe(job), self._windows, at)


PAGE_SIZE = 50
MAX_RUNS = 5000
"""Of one job. A longer window is judged by its newest runs."""
MAX_UNKNOWN = 2 * MAX_WINDOW
"""Unknown runs. What was before more of them does not count, so that a target that stays unknown costs little."""
_WINDOW_MARGIN = timedelta(minutes=10)
"""A run that was due before the window may have ended in it."""
_SUSPENDED = frozenset({ReasonCode.JOB_PAUSED, ReasonCode.JOB_DISABLED})


class RunPages(Protocol):
    async def list_page(self, job: str | None = None, *, limit: int = 50, continuation: str | None = None) -> RunPage:
        """Return runs of a job, newest due instant first, as scheduler.stores.runs.reading does."""
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
        """Read the history of a job from the store, and retain nothing."""
        return history_of(*await self._read(job, rules, now))

    async def _read(self, job: str, rules: CompiledRules, now: datetime) -> tuple[list[Sample], datetime | None]:
        """Read back from the newest run to the last suspension at most."""
        samples: list[Sample] = []
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
                    return samples, run.due_at
                if missing.is_complete(run.due_at):
                    return samples, None
                sample = self.sample_of(run)
                if sample is not None:
                    samples.append(sample)
                    missing.count(sample)
            continuation, runs = page.continuation, runs + len(page.records)
            if continuation is None or runs >= MAX_RUNS:
                return samples, None


class _MissingSamples:
    """What is missing of the samples that rules need, while runs are read back."""

    def __init__(self, rules: CompiledRules, now: datetime) -> None:
        window = rules.needs.window
        self._since = now - window - _WINDOW_MARGIN if window else None
        self._missing = dict(rules.sample_needs)
        self._unknown = 0

    def is_complete(self, due_at: datetime) -> bool:
        """Return whether neither a run that was due at this instant nor earlier ones are needed."""
        return not self._missing and (self._since is None or due_at < self._since)

    def count(self, sample: Sample) -> None:
        self._unknown += sample.is_unknown
        for counted in [*self._missing]:
            triggers, with_unknown = counted
            if sample.trigger in triggers and (with_unknown or not sample.is_unknown):
                self._missing[counted] -= 1
            if not self._missing[counted] or self._unknown > MAX_UNKNOWN:
                del self._missing[counted]


MAX_LETTERS = 1000
"""Dead letters of a job that are counted."""

SecretExpiries = Callable[[JobDefinition], Sequence[SecretExpiryFact]]


class FactReader:
    """Raises StoreError."""

    def __init__(
        self,
        circuits: CircuitStateStore,
        dead_letters: DeadLetters,
        secret_expiries: SecretExpiries,
        run_counts: RunCountReader,
        compared_hours: ComparedHoursReader,
    ) -> None:
        self._circuits = circuits
        self._dead_letters = dead_letters
        self._secret_expiries = secret_expiries
        self._run_counts = run_counts
        self._compared_hours = compared_hours

    async def read(self, job: JobDefinition, needs: AlertNeeds, now: datetime) -> SubjectFacts:
        """Return what is needed, apart from the schedule."""
        facts = SubjectFacts()
        if needs.has_circuit:
            facts = replace(facts, circuit=await self._read_circuit(job, now))
        if needs.has_secrets:
            facts = replace(facts, secrets=tuple(self._secret_expiries(job)))
        if needs.dead_letters_within:
            facts = replace(facts, dead_letters=await self._read_letters(job.name, now - needs.dead_letters_within))
        if needs.counts_within:
            facts = replace(facts, run_counts=await self._run_counts.read(job, needs.counts_within, now))
        if needs.compared:
            facts = replace(facts, compared=await self._compared_hours.read(job, needs.compared, now))
        return facts

    async def list_jobs_with_letters(self, now: datetime, within: timedelta) -> set[str]:
        """Return the jobs that have dead letters of this time, as far as the newest MAX_LETTERS show it."""
        letters = await self._dead_letters.list_letters(limit=MAX_LETTERS)
        return {each.ticket.job for each in letters if each.ticket is not None and each.at > now - within}

    def list_jobs_with_expiring_secrets(
        self, jobs: Iterable[tuple[JobDefinition, CompiledRules]], now: datetime
    ) -> set[str]:
        """Return those of these jobs for which a rule about the expiry of secrets is met."""
        return {job.name for job, rules in jobs if self._is_expiring(job, rules, now)}

    def _is_expiring(self, job: JobDefinition, rules: CompiledRules, now: datetime) -> bool:
        facts = SubjectFacts(secrets=tuple(self._secret_expiries(job)))
        history = SampleHistory()
        about_secrets = (rule for rule in rules.rules if rule.needs.has_secrets)
        return any(rule.when.judge(history, facts, now, False, rule.thresholds).is_met for rule in about_secrets)

    async def _read_circuit(self, job: JobDefinition, now: datetime) -> CircuitFact:
        if job.circuit_key is None:
            return CircuitFact(False)
        text, _ = await self._circuits.load(job.circuit_key)
        state = load_state(text)
        override = state.active_override(now)
        if override is not None:
            return CircuitFact(override.is_open, override.since)
        return CircuitFact(state.condition is not CircuitCondition.CLOSED, state.since)

    async def _read_letters(self, job: str, since: datetime) -> tuple[datetime, ...]:
        letters: list[datetime] = []
        after = ""
        while len(letters) < MAX_LETTERS:
            page = await self._dead_letters.read_page(job=job, limit=100, after=after)
            times = [letter.at for letter in page.letters]
            letters += [at for at in times if at > since]
            if page.continuation is None or any(at <= since for at in times):
                break
            after = page.continuation
        return tuple(letters)
