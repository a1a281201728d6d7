"""Reads what a pass of the engine must know: rules, suppressions, rotas, and which parents were checked.

Implements scheduler.alerting.engine_runner.FactsSource.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime, timedelta

from jobs.alerting.alert import Alert
from jobs.incidents.engine.facts import ancestors_of
from jobs.incidents.engine.step import first_runs_end
from jobs.incidents.routes import Rota
from jobs.incidents.routing import RoutingTable
from jobs.incidents.suppression.finding import SuppressionSet
from jobs.incidents.suppression.windows import RequestedWindow, Silence
from jobs.incidents.values import AlertKey, Incident, Suppression
from scheduler.alerting.evaluation.due_times import DueTimes
from scheduler.alerting.facts import DefinedFacts, describe_pause
from scheduler.alerting.first_runs import FirstRuns
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import JobSnapshot
from scheduler.stores.alerting.engine import EngineState, run_sized
from scheduler.stores.alerting.suppressions import StoredSuppressions
from scheduler.stores.gates import Pauses

ReadRotas = Callable[[JobSnapshot], Awaitable[Mapping[str, Rota]]]
"""Returns the rotas that are known now, without a wait for the network."""


class DefinedFactsSource:
    """`book`: returns the rules in force. `shares_runs`: other processes execute runs, too."""

    def __init__(
        self,
        book: Callable[[], RuleBook],
        silences: StoredSuppressions[Silence],
        windows: StoredSuppressions[RequestedWindow],
        pauses: Pauses,
        due_times: DueTimes,
        read_rotas: ReadRotas,
        *,
        shares_runs: bool,
        group_wait: timedelta,
        first_runs: FirstRuns | None = None,
    ) -> None:
        self._book = book
        self._silences = silences
        self._windows = windows
        self._pauses = pauses
        self._due_times = due_times
        self._read_rotas = read_rotas
        self._shares_runs = shares_runs
        self._group_wait = group_wait
        self._first_runs = first_runs

    async def read_facts(self, now: datetime, state: EngineState) -> DefinedFacts:
        book = self._book()
        alerts = [each.alert for each in state.alerts]
        suppressions = await self.read_suppressions(book)
        facts = DefinedFacts(
            book,
            now,
            alerts=alerts,
            suppressions=suppressions,
            routing=RoutingTable(book.snapshot.alerting.routes, await self._read_rotas(book.snapshot)),
            pauses=await self._read_pauses(now),
            last_due=self._due_times.find,
            first_runs=self._first_runs,
            group_wait=self._group_wait,
        )
        await self._read_runs(alerts, state, facts)
        if self._first_runs is not None and state.open:
            subjects = {each.key.subject for incident in state.open for each in incident.open_members}
            subjects.update(alert.subject for alert in alerts if alert.is_firing)
            await self._first_runs.read(now, {job for each in subjects for job in self._jobs_of(each)})
        return facts

    async def find_first_runs_end(self, incident: Incident, now: datetime, *, is_missed: bool) -> datetime | None:
        """Return until when messages about an incident wait for the first runs of its jobs since the start.

        None: they do not wait. `is_missed`: only if a run was due while the scheduler did not run. Raises StoreError.
        """
        if self._first_runs is None:
            return None
        jobs = {job for member in incident.open_members for job in self._jobs_of(member.key.subject)}
        await self._first_runs.read(now, jobs)
        facts = DefinedFacts(self._book(), now, pauses=await self._read_pauses(now), first_runs=self._first_runs)
        return first_runs_end(incident, facts, is_missed=is_missed)

    async def read_suppressions(self, book: RuleBook) -> SuppressionSet:
        """Return the windows of the job files, and what was requested."""
        silences, windows = await self._silences.list_current(), await self._windows.list_current()
        return SuppressionSet(book.snapshot.alerting.windows, windows, silences)

    async def _read_pauses(self, now: datetime) -> Mapping[str, Suppression]:
        pauses = await self._pauses.list_active(now)
        return {job: describe_pause("", pause.reason, pause.until) for job, pause in pauses.items()}

    async def _read_runs(self, alerts: Iterable[Alert], state: EngineState, facts: DefinedFacts) -> None:
        """Read the newest runs of the parents of firing alerts, and of what was held back behind what is over.

        Runs of other processes are not known otherwise; those of an earlier process neither.
        """
        alerts = list(alerts)
        jobs = await run_sized(len(alerts), self._list_read, alerts, state, facts)
        await self._due_times.read(jobs if self._shares_runs else self._due_times.list_unknown(jobs))

    def _list_read(self, alerts: Iterable[Alert], state: EngineState, facts: DefinedFacts) -> set[str]:
        held = [member for incident in state.open for member in incident.open_members]
        known = {(member.key, member.fired) for member in held}
        firing = {alert.subject for alert in alerts if alert.is_firing}
        # They wait for a run that confirms them.
        subjects = {member.key.subject for member in held if member.parent and member.parent not in firing}
        for alert in alerts:
            if alert.is_firing and (AlertKey(alert.subject, alert.rule), alert.number) not in known:
                subjects.update(ancestors_of(alert.subject, facts))
        return {job for subject in subjects for job in self._jobs_of(subject)}

    def _jobs_of(self, subject: str) -> tuple[str, ...]:
        book = self._book()
        return tuple(job for job in book.jobs_of(subject) if book.snapshot.find_job(job) is not None)
