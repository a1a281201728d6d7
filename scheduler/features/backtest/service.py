"""Backtests: what rules would have notified about stored runs, against what was notified.

backtester = Backtester(runs, changes, incident_log, silences, windows)
report = await backtester.run(BacktestRequest(since, until), in_force, edited)

The garbage collector of a process that only replays is paused meanwhile.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from jobs.alerting.comparison import HourSpan, ResponseHours
from jobs.alerting.rule import CompiledRules
from jobs.definition import JobDefinition
from jobs.incidents.engine.facts import GROUP_WAIT, SCHEDULER
from jobs.incidents.rotas import Rota
from jobs.incidents.routes import RoutingTable
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.suppression.windows import RequestedWindow, Silence
from jobs.incidents.values import AlertKey
from scheduler.alerting.replay.history import ReplayDefinitions, ReplayInput
from scheduler.alerting.replay.replaying import replay
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import JobSnapshot
from scheduler.features.backtest.compared_hours import read_blind_times, read_compared_hours, read_hours
from scheduler.features.backtest.comparison import MessageComparison, compare
from scheduler.features.backtest.history import HistoryReader, ReadHistory
from scheduler.features.backtest.messages import (
    IncidentHistory,
    history_of_replay,
    list_actions,
    list_firings,
    read_incidents,
)
from scheduler.features.backtest.run_ranges import DueTimeRange
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.alerting.suppressions import StoredSuppressions
from scheduler.stores.changes import StateChanges
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.reading import RunReads


@contextmanager
def pause_collector() -> Iterator[None]:
    """perf: `backtest`, a tenth of the time; a million values are made, and few of them form cycles."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


MAX_READ = 12.0
"""Seconds for which a backtest waits for calendars that the process has not read yet."""


class RotaCalendars(Protocol):
    """Implemented by scheduler.alerting.rotas."""

    async def read(self, snapshot: JobSnapshot) -> Mapping[str, Rota]: ...

    async def read_for(
        self, snapshot: JobSnapshot, since: datetime, until: datetime
    ) -> tuple[Mapping[str, Rota], Mapping[str, str]]: ...

    async def prepare(self, snapshot: JobSnapshot, time_limit: float) -> None: ...

    def describe_problems(self) -> Mapping[str, str]: ...


async def read_rotas(
    calendars: RotaCalendars | None, snapshot: JobSnapshot, since: datetime, until: datetime
) -> tuple[Mapping[str, Rota], tuple[str, ...]]:
    """Return the known rotas, for this time, and a sentence for each that could not be read."""
    names = {entry.name for entry in snapshot.alerting.entries_of("on_call")}
    if calendars is None or not names:
        return {}, ()
    rotas = await calendars.read(snapshot)
    if not names <= rotas.keys():
        await calendars.prepare(snapshot, MAX_READ)
    rotas, errors = await calendars.read_for(snapshot, since, until)
    notes = dict.fromkeys(names - rotas.keys(), "the calendar could not be read in time; no channel is notified")
    notes |= {name: f"{error}; `otherwise` is notified" for name, error in errors.items()}
    notes |= calendars.describe_problems()
    return rotas, tuple(f"rota {name}: {text}" for name, text in sorted(notes.items()))


S = TypeVar("S", Silence, RequestedWindow)
RECORDED_CONDITIONS = frozenset({"burn_rate", "circuit_open", "dead_letters_above", "secret_days_below", "silent"})
"""Not derived from runs: a replay takes the instants at which these alerts fired from the stored incidents."""


@dataclass(frozen=True, slots=True)
class BacktestRequest:
    """`jobs`: None for all."""

    since: datetime
    until: datetime
    jobs: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """`was`, `would_be`: incidents, the oldest first. `notes`: what could not be determined, and from when on."""

    request: BacktestRequest
    comparison: MessageComparison
    was: tuple[IncidentHistory, ...]
    would_be: tuple[IncidentHistory, ...]
    runs_read: int
    runs_estimated: int
    notes: tuple[str, ...] = field(default=())


class Backtester:
    """All methods raise StoreError."""

    def __init__(
        self,
        runs: RunReads,
        changes: StateChanges,
        log: IncidentLog,
        silences: StoredSuppressions[Silence],
        windows: StoredSuppressions[RequestedWindow],
        rotas: RotaCalendars | None = None,
        *,
        group_wait: timedelta = GROUP_WAIT,
    ) -> None:
        """`group_wait`: the setting."""
        self._reader = HistoryReader(runs, changes)
        self._runs = runs
        self._log = log
        self._silences = silences
        self._windows = windows
        self._rotas = rotas
        self._group_wait = group_wait
        self._in_server = asyncio.Semaphore(1)

    async def run(
        self, request: BacktestRequest, in_force: JobSnapshot, edited: JobSnapshot | None = None
    ) -> BacktestReport:
        """Compare what `edited` would have notified, or the rules in force, with what was notified.

        For a dedicated process, such as a command: without garbage collection until the end.
        """
        with pause_collector():
            return await self._run(request, in_force, edited)

    async def run_in_server(
        self, request: BacktestRequest, in_force: JobSnapshot, edited: JobSnapshot | None = None
    ) -> BacktestReport:
        """Return the same in a process that executes runs, too: one at a time, and garbage is collected.

        For few jobs: a replay shares the processor with the runs.
        """
        async with self._in_server:
            return await self._run(request, in_force, edited)

    async def _run(self, request: BacktestRequest, in_force: JobSnapshot, edited: JobSnapshot | None) -> BacktestReport:
        given = await self.prepare(request, in_force, edited)
        would_be = await asyncio.to_thread(given.replay, given.definitions)
        was = [given.cut(history) for history in given.was]
        return BacktestReport(
            request,
            compare([each for each in was if each.messages], [each for each in would_be if each.messages]),
            tuple(was),
            tuple(would_be),
            given.history.read,
            given.history.estimated,
            tuple(given.notes()),
        )

    async def prepare(
        self, request: BacktestRequest, in_force: JobSnapshot, edited: JobSnapshot | None = None
    ) -> PreparedBacktest:
        """Read everything that replays of this time need."""
        books = [RuleBook(edited or in_force), RuleBook(in_force)] if edited is not None else [RuleBook(in_force)]
        names = {*in_force.names(), *(edited or in_force).names()} if request.jobs is None else request.jobs
        groups = [group for book in books for group in book.groups] if request.jobs is None else []
        within = DueTimeRange(request.since, request.until)
        history = await self._reader.read(books, {*_with_rules(books, names), *groups}, within)
        stored = await self._read_incidents(request, history)
        suppressions = SuppressionSet(
            books[0].snapshot.alerting.windows, await _read_all(self._windows), await _read_all(self._silences)
        )
        period = HourSpan(history.begin, request.until)
        compared = await read_compared_hours(self._runs, self._log, suppressions, _list_compared(books, names), period)
        history.histories = [replace(each, compared=compared.get(each.job, {})) for each in history.histories]
        snapshot = books[0].snapshot
        rotas, notes = await read_rotas(self._rotas, snapshot, history.begin, request.until)
        routing = RoutingTable(snapshot.alerting.routes, rotas)
        definitions = ReplayDefinitions(books[0], suppressions, routing, self._group_wait)
        return PreparedBacktest(request, definitions, books[-1], history, stored, notes)

    async def read_hours(self, job: JobDefinition, since: datetime, until: datetime, of: JobSnapshot) -> ResponseHours:
        """Return the response times of a job's full hours, and which of them do not count."""
        begin, end = (each.replace(minute=0, second=0, microsecond=0) for each in (since, until))
        windows, silences = await _read_all(self._windows), await _read_all(self._silences)
        suppressions = SuppressionSet(of.alerting.windows, windows, silences)
        within = HourSpan(begin, end)
        blind = await read_blind_times(self._log, within)
        return await read_hours(self._runs, self._log, suppressions, job, within, blind)

    async def _read_incidents(self, request: BacktestRequest, history: ReadHistory) -> list[IncidentHistory]:
        if request.jobs is None:
            return await read_incidents(self._log, history.begin, request.until)
        found: dict[str, IncidentHistory] = {}
        for subject in (SCHEDULER, *request.jobs, *(each.job for each in history.histories)):
            for each in await read_incidents(self._log, history.begin, request.until, subject, known_ids=found):
                found[each.incident.id] = each
        return sorted(found.values(), key=lambda each: each.incident.id)


def build_backtester(
    runs: RunReads,
    stored: Repositories,
    rotas: RotaCalendars | None = None,
    *,
    group_wait: timedelta = GROUP_WAIT,
) -> Backtester:
    return Backtester(
        runs,
        stored.changes,
        stored.incident_log,
        stored.silences,
        stored.requested_windows,
        rotas,
        group_wait=group_wait,
    )


@dataclass(frozen=True, slots=True)
class PreparedBacktest:
    """What was read for a replay. `book`: the rules in force. `was`: the stored incidents. `rota_notes`: which
    calendars are not known.
    """

    request: BacktestRequest
    definitions: ReplayDefinitions
    book: RuleBook
    history: ReadHistory
    was: Sequence[IncidentHistory]
    rota_notes: tuple[str, ...] = ()

    def replay(self, definitions: ReplayDefinitions) -> list[IncidentHistory]:
        """Return the incidents that these definitions would have caused, the oldest first."""
        found = replay(definitions, self.given(definitions)).incidents.values()
        histories = [self.cut(history_of_replay(each)) for each in found]
        return sorted(histories, key=lambda each: each.incident.id)

    def given(self, definitions: ReplayDefinitions) -> ReplayInput:
        """Return the input of a replay with these definitions."""
        return ReplayInput(
            self.history.begin,
            self.request.until,
            tuple(self.history.histories),
            tuple(list_firings(self.was, lambda key: self._is_recorded(key, definitions.book))),
            tuple(list_actions(self.was)),
        )

    def cut(self, history: IncidentHistory) -> IncidentHistory:
        """Return the incident with its messages of the requested time; none if its job was not requested."""
        jobs, since, until = self.request.jobs, self.request.since, self.request.until
        if jobs is not None and history.subject not in jobs:
            return replace(history, messages=())
        return replace(history, messages=tuple(each for each in history.messages if since <= each.at <= until))

    def notes(self) -> list[str]:
        notes = [*self.history.notes, *self.rota_notes]
        if self.history.estimated:
            notes.append(
                f"{self.history.estimated:,} runs are not stored any more: they were estimated from the changes of the "
                "states of jobs and from schedules, so texts and seconds can differ"
            )
        book = self.definitions.book
        unknown = Counter(
            rule.when.condition_key()
            for subject in (*(job.name for job, _ in book.jobs_with_rules()), *book.objectives)
            for rule in book.rules_of(subject).rules
            if rule.when.condition_key() in RECORDED_CONDITIONS
            and not self._is_recorded(AlertKey(subject, rule.name), book)
        )
        notes += [
            f"{count} changed rules about {condition} are not replayed: runs do not show when it is met"
            for condition, count in sorted(unknown.items())
        ]
        return notes

    def _is_recorded(self, key: AlertKey, book: RuleBook) -> bool:
        if key.subject == SCHEDULER:
            return True
        rule, in_force = book.rule_of(key), self.book.rule_of(key)
        if rule is None or in_force is None or rule.when.condition_key() not in RECORDED_CONDITIONS:
            return False
        return rule.when == in_force.when and rule.for_ == in_force.for_


def _with_rules(books: Iterable[RuleBook], names: Collection[str]) -> set[str]:
    return {name for name in names if any(book.rules_of(name).rules for book in books)}


def _list_compared(books: Iterable[RuleBook], names: Collection[str]) -> list[tuple[JobDefinition, CompiledRules]]:
    """Return the jobs among these with rules that compare hours, by each book."""
    jobs = ((job, rules) for book in books for job, rules in book.jobs_with_rules())
    return [(job, rules) for job, rules in jobs if rules.needs.compared and job.name in names]


async def _read_all(stored: StoredSuppressions[S]) -> tuple[S, ...]:
    """Return all that are stored, by creation: those in force, and those that ended."""
    by_id: dict[str, S] = {}
    for ended in (False, True):
        after: str | None = ""
        while after is not None:
            page = await stored.list_page(ended=ended, limit=500, after=after)
            by_id |= {each.value.id: each.value for each in page.found}
            after = page.continuation
    return tuple(sorted(by_id.values(), key=lambda each: each.created_at))
