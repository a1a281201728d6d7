"""Reads what a replay of some time needs of the store, and reports what cannot be determined."""

from __future__ import annotations

import asyncio
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.alerting.conditions.certificate_days import CertificateDaysCondition
from jobs.alerting.conditions.lateness import LatenessCondition
from jobs.alerting.conditions.response_time import ResponseTimeCondition
from jobs.alerting.facts import Sample, sample_of_run
from jobs.definition import JobDefinition
from jobs.incidents.values import Suppression, SuppressionKind
from jobs.runs import Run, Trigger
from jobs.runs.histogram import Histogram, bucket_of
from jobs.runs.states import JobStatus, StateChange
from scheduler.alerting.causes import find_causes, is_about_certificate
from scheduler.alerting.replay.history import JobHistory, KnownCertificate, PauseSpan, ReplayRun
from scheduler.alerting.rule_book import RuleBook
from scheduler.features.backtest.run_ranges import (
    DueTimeRange,
    StatePhase,
    estimate_runs,
    list_phases,
    list_ranges,
    merge_ranges,
)
from scheduler.stores.changes import StateChanges
from scheduler.stores.port import MAX_PAGE
from scheduler.stores.runs.reading import RunReads

_PAGE = 500


@dataclass(slots=True)
class ReadRuns:
    """`runs`: by due instant. `estimated`: how many of them are not stored any more."""

    runs: list[ReplayRun]
    estimated: int = 0


async def read_runs(
    reads: RunReads, job: JobDefinition, ranges: Sequence[DueTimeRange], phases: Sequence[StatePhase], budget: int
) -> ReadRuns:
    """Return at most about `budget` runs of these ranges. Raises StoreError."""
    read = ReadRuns([])
    for range_ in reversed(ranges):
        if budget <= len(read.runs):
            break
        stored = await _read_range(reads, job, range_, budget - len(read.runs))
        oldest = stored[0].due_at if stored else range_.end
        estimated = []
        if _is_incomplete(phases, range_, stored):
            estimated = [
                run
                for run in estimate_runs(job.name, phases, job.schedule, range_)
                if not stored or run.due_at < oldest
            ]
        read.estimated += len(estimated)
        read.runs = [*estimated, *stored, *read.runs]
    return read


def to_replay_run(job: JobDefinition, run: Run) -> ReplayRun | None:
    """Return None for a replay of a dead letter, which changes nothing."""
    if run.trigger is Trigger.REPLAY:
        return None
    sample = sample_of_run(run)
    has_causes = sample is not None and (sample.is_unknown or not sample.is_good or is_about_certificate(sample))
    return ReplayRun(run.due_at, run.finished_at, sample, find_causes(job, sample) if has_causes else ())


async def _read_range(reads: RunReads, job: JobDefinition, range_: DueTimeRange, budget: int) -> list[ReplayRun]:
    runs: list[ReplayRun] = []
    continuation: str | None = None
    while True:
        page = await reads.list_page(
            job.name, limit=_PAGE, continuation=continuation, since=range_.begin, until=range_.end
        )
        for record in page.records:
            run = None if record.run is None else to_replay_run(job, record.run)
            if run is not None:
                runs.append(run)
        continuation = page.continuation
        if continuation is None or len(runs) >= budget:
            return runs[::-1]


def _is_incomplete(phases: Sequence[StatePhase], range_: DueTimeRange, stored: Sequence[ReplayRun]) -> bool:
    """Return whether a run that changed the state is not stored any more."""
    stored_ids = {run.sample.run for run in stored if run.sample is not None}
    return any(
        phase.run and phase.run not in stored_ids for phase in phases if range_.begin <= phase.first_due <= range_.end
    )


_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


async def list_slow_hours(
    runs: RunReads, job: str, condition: LatenessCondition | ResponseTimeCondition, within: DueTimeRange
) -> list[DueTimeRange]:
    """Return the hours to read, each with the window of the condition after it. Raises StoreError."""
    since = within.begin.replace(minute=0, second=0, microsecond=0)
    until = within.end.replace(minute=0, second=0, microsecond=0) + _HOUR
    limit = bucket_of(_limit_ms(condition))
    divided: list[datetime] = []
    hours: list[DueTimeRange] = []
    window = _HOUR if isinstance(condition, LatenessCondition) else timedelta(seconds=condition.window)
    for part in await runs.list_rollups(job, since, until):
        if not _has_above(_histogram_of(condition, part.rollup.tally), limit):
            continue
        if part.span > _HOUR:
            divided.append(part.start + _HOUR)
        else:
            hours.append(DueTimeRange(part.start - window, part.end + window))
    for instant in divided:
        day = instant - _HOUR
        hours += [
            DueTimeRange(part.start - window, part.end + window)
            for part in await runs.list_rollups(job, day, day + _DAY, [instant])
            if _has_above(_histogram_of(condition, part.rollup.tally), limit)
        ]
    return hours


def _limit_ms(condition: LatenessCondition | ResponseTimeCondition) -> float:
    if isinstance(condition, LatenessCondition):
        return condition.lateness_above * 1000
    limits = [condition.response_time_above, condition.close_at or condition.response_time_above]
    return min(limits) * 1000


def _histogram_of(condition: LatenessCondition | ResponseTimeCondition, tally: object) -> Histogram:
    name = "lateness" if isinstance(condition, LatenessCondition) else "response_time"
    histogram: Histogram = getattr(tally, name)
    return histogram


def _has_above(histogram: Histogram, limit: int) -> bool:
    """The bucket of the limit counts, as it holds durations on both sides."""
    first, *counts = histogram.encode() or [0]
    return first + len(counts) - 1 >= limit


MAX_RUNS = 400_000
"""Runs that a replay reads."""
_FEW_JOBS = 10
_JOBS_AT_ONCE = 16
_PLANNED = frozenset({Trigger.SCHEDULE, Trigger.DEPENDENCY})
_PARENT_MARGIN = timedelta(minutes=3)
"""For which an alert can wait for runs of its parents."""


@dataclass(slots=True)
class ReadHistory:
    """`begin`: where the replay starts. `read`, `estimated`: runs."""

    begin: datetime
    histories: list[JobHistory] = field(default_factory=list)
    read: int = 0
    estimated: int = 0
    notes: list[str] = field(default_factory=list)


class HistoryReader:
    """All methods raise StoreError."""

    def __init__(self, runs: RunReads, changes: StateChanges) -> None:
        self._runs = runs
        self._changes = changes

    async def read(self, books: Collection[RuleBook], jobs: Collection[str], within: DueTimeRange) -> ReadHistory:
        """Read the runs of these jobs, of their ancestors and of the members of groups, as far as rules need them."""
        names = _close(books, jobs)
        phases = await self._read_phases(names, within)
        begin = min(
            (one.begin for name in names for one in phases.get(name, ()) if one.is_bad and one.end >= within.begin),
            default=within.begin,
        )
        history = ReadHistory(min(begin, within.begin) - timedelta(hours=1))
        whole = DueTimeRange(history.begin, within.end)
        ranges = {name: await self._find_ranges(books, name, phases.get(name, ()), whole) for name in names}
        _add_ancestors(books, ranges, phases, whole)
        ordered = sorted(names)
        for start in range(0, len(ordered), _JOBS_AT_ONCE):
            some = ordered[start : start + _JOBS_AT_ONCE]
            await asyncio.gather(
                *(self._read_job(books, name, ranges[name], phases.get(name, []), history) for name in some)
            )
        return history

    async def _read_phases(self, names: Collection[str], within: DueTimeRange) -> dict[str, list[StatePhase]]:
        """Of a few jobs, read theirs alone: an explanation does not depend on the number of jobs."""
        if len(names) > _FEW_JOBS:
            states = await self._changes.read_states()
            changes = await self._read_changes(None, within)
        else:
            read = {name: await self._changes.read_state(name) for name in sorted(names)}
            states = {name: state for name, state in read.items() if state is not None}
            changes = [change for name in sorted(names) for change in await self._read_changes(name, within)]
        by_job: defaultdict[str, list[StateChange]] = defaultdict(list)
        for change in changes:
            by_job[change.job].append(change)
        return {
            job: list_phases(by_job[job][::-1], None if job not in states else states[job].change, within.end)
            for job in {*states, *by_job}
        }

    async def _read_changes(self, job: str | None, within: DueTimeRange) -> list[StateChange]:
        changes: list[StateChange] = []
        after = ""
        while True:
            page = await self._changes.list_page(job, since=within.begin, limit=MAX_PAGE, after=after)
            changes += page.changes
            if len(page.changes) < MAX_PAGE:
                return changes
            after = page.positions[-1]

    async def _find_ranges(
        self, books: Iterable[RuleBook], job: str, phases: Iterable[StatePhase], within: DueTimeRange
    ) -> list[DueTimeRange]:
        ranges: list[DueTimeRange] = []
        for book in books:
            if _counts_further_triggers(book, job):
                return [within]
            rules, schedule = book.rules_of(job), book.snapshot.schedule(job)
            extra: list[DueTimeRange] = []
            for rule in rules.rules:
                if isinstance(rule.when, LatenessCondition | ResponseTimeCondition):
                    extra += await list_slow_hours(self._runs, job, rule.when, within)
            ranges += list_ranges(list(phases), rules, schedule, within, extra)
        return merge_ranges(ranges, within)

    async def _read_job(
        self,
        books: Collection[RuleBook],
        name: str,
        ranges: list[DueTimeRange],
        phases: list[StatePhase],
        history: ReadHistory,
    ) -> None:
        entry = next((each for book in books if (each := book.snapshot.find_job(name)) is not None), None)
        if entry is None:
            return
        runs = await read_runs(self._runs, entry.job, ranges, phases, MAX_RUNS - history.read)
        history.read += len(runs.runs) - runs.estimated
        history.estimated += runs.estimated
        if history.read >= MAX_RUNS:
            history.notes = [
                f"more than {MAX_RUNS:,} runs matter: some jobs are replayed in part; choose a shorter time"
            ]
        certificates: tuple[KnownCertificate, ...] = ()
        if any(isinstance(rule.when, CertificateDaysCondition) for book in books for rule in book.rules_of(name).rules):
            certificates = await self._read_certificates(name, history.begin)
        first = _first_run(phases, history.begin, runs.runs)
        history.histories.append(JobHistory(name, (*first, *runs.runs), tuple(_list_pauses(phases)), certificates))

    async def _read_certificates(self, job: str, begin: datetime) -> tuple[KnownCertificate, ...]:
        """Return the certificates of the oldest and the newest run that are stored."""
        certificates = []
        for until in (begin + timedelta(days=1), None):
            page = await self._runs.list_page(job, limit=1, until=until)
            runs = [record.run for record in page.records if record.run is not None]
            samples = [sample for run in runs if (sample := sample_of_run(run)) is not None]
            certificates += [
                KnownCertificate(max(sample.finished_at, begin), sample.certificate_expires_at)
                for sample in samples
                if sample.certificate_expires_at is not None
            ]
        return tuple(certificates)


def _close(books: Iterable[RuleBook], jobs: Collection[str]) -> set[str]:
    """Return the jobs, their ancestors, and the members of all groups among these and with rules."""
    names = set(jobs)
    following = list(jobs)
    while following:
        name = following.pop()
        for book in books:
            rules = book.groups.get(name)
            for each in rules.members if rules is not None else book.parents_of(name):
                if each not in names:
                    names.add(each)
                    following.append(each)
    return names


def _counts_further_triggers(book: RuleBook, job: str) -> bool:
    """Return whether a rule counts runs on demand or backfills: the states of the job do not show which were good."""
    groups = (book.groups[name].group.alerts for name in book.groups_by_job.get(job, ()))
    rules = itertools.chain(book.rules_of(job).rules, *groups)
    return any(not _PLANNED.issuperset(rule.triggers) for rule in rules)


def _add_ancestors(
    books: Iterable[RuleBook],
    ranges: dict[str, list[DueTimeRange]],
    phases: Mapping[str, list[StatePhase]],
    within: DueTimeRange,
) -> None:
    """Alerts wait until their parents were checked: add the runs of parents after each failure."""
    added: defaultdict[str, list[DueTimeRange]] = defaultdict(list)
    for name in ranges:
        failures = [each.first_due for each in phases.get(name, ()) if each.is_bad]
        if failures:
            for ancestor in _close(books, [name]) - {name}:
                added[ancestor] += [DueTimeRange(each - _PARENT_MARGIN, each + 3 * _PARENT_MARGIN) for each in failures]
    for name, more in added.items():
        if name in ranges:
            ranges[name] = merge_ranges([*ranges[name], *more], within)


def _first_run(phases: Iterable[StatePhase], begin: datetime, runs: Iterable[ReplayRun]) -> Iterable[ReplayRun]:
    """Yield a good run for a job that was up when the replay begins: groups count it."""
    is_up = any(each.state is JobStatus.UP and each.begin < begin < each.end for each in phases)
    if is_up and not any(run.finished_at <= begin for run in runs):
        at = begin - timedelta(seconds=1)
        yield ReplayRun(at, begin, Sample(at, "", begin, False))


def _list_pauses(phases: Iterable[StatePhase]) -> Iterable[PauseSpan]:
    for phase in phases:
        if phase.state in (JobStatus.PAUSED, JobStatus.DISABLED):
            name = "pause" if phase.state is JobStatus.PAUSED else "disabled"
            yield PauseSpan(phase.begin, phase.end, Suppression(SuppressionKind.WINDOW, name, phase.message))
