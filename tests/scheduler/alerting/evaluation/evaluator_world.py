"""Processes that evaluate alert rules over one memory store, in virtual time.

world = EvaluatorWorld(entry("checkout", "every 1m", alerts=[{"open_after": 2}]))
await world.run("checkout", "F")        # a run of the next minute fails, and is judged
world.alert("checkout").is_firing
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import repeat
from typing import Any

from jobs.alerting.alert import Alert
from jobs.alerting.facts import SecretExpiryFact
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import AlertingDefinitions, define_alerting
from jobs.incidents.values import AlertKey
from jobs.runs import Attempt, Outcome, Phases, Run, Ticket, Trigger
from jobs.runs.outcomes import ErrorClass, ReasonCode
from jobs.runs.run import Failure, Severity
from scheduler.alerting.evaluation.blindness import BlindnessWatch
from scheduler.alerting.evaluation.burn_rates import ObjectiveEvaluator, RunCountReader
from scheduler.alerting.evaluation.compared_hours import ComparedHoursReader
from scheduler.alerting.evaluation.evaluator import AlertEvaluator
from scheduler.alerting.evaluation.history import CountedRuns, FactReader, SampleReader
from scheduler.alerting.evaluation.judging import GroupEvaluator
from scheduler.alerting.evaluation.known_alerts import KnownAlerts
from scheduler.alerting.evaluation.silent_jobs import DueTimes
from scheduler.alerting.window_pauses import WindowPauses
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot
from scheduler.features.incidents.exclusions import ExclusionReader
from scheduler.stores.alerting.engine import AlertRows
from scheduler.stores.alerting.rows import ALERT_PREFIX, ALERTS
from scheduler.stores.gates import Pauses
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.codec import RunRecord, RunState
from scheduler.stores.runs.pages import RunPage
from scheduler.stores.runs.repository import Runs
from tests.scheduler.alerting.engine_world import InterleavedStore
from tests.scheduler.fakes import VirtualClock
from tests.scheduler.stores.memory import MemoryData

START = datetime(2026, 3, 1, 3, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
NOTHING_DEFINED = define_alerting({})
_MESSAGES = {
    "F": "Expected status 200, got 503.",
    "B": "Not judged: the resolver does not answer.",
    "U": "403 for /queues/orders: grant Reader.",
}
_SLOW = (Failure("response_time", "Expected at most 1 s.", Severity.DEGRADED),)
_OUTCOMES = {
    "S": Outcome.SUCCEEDED,
    "D": Outcome.SUCCEEDED,
    "F": Outcome.FAILED,
    "R": Outcome.REJECTED,
    "-": Outcome.SKIPPED,
    "P": Outcome.SKIPPED,
    "B": Outcome.SKIPPED,
    "U": Outcome.SKIPPED,
}
_REASONS = {"-": ReasonCode.OVERLAP, "P": ReasonCode.JOB_PAUSED, "B": ReasonCode.BLIND, "U": ReasonCode.UNKNOWN}


def run_of(job: str, minute: float, letter: str, **more: Any) -> Run:
    """`F` failed, `D` degraded, `S` succeeded, `R` rejected, `-` skipped, `P` paused, `B` blind, `U` unknown."""
    due = START + minute * MINUTE
    end: datetime = more.pop("finished_at", due + timedelta(seconds=1))
    response: float = more.pop("response_ms", 100.0)
    trigger = more.get("trigger", Trigger.SCHEDULE)
    attempt = Attempt(1, due, Phases(total_ms=response), failures=_SLOW if letter == "D" else ())
    run = {
        "id": f"{job}@{due.isoformat()}{'' if trigger is Trigger.SCHEDULE else trigger}",
        "job": job,
        "trigger": Trigger.SCHEDULE,
        "outcome": _OUTCOMES[letter],
        "due_at": due,
        "started_at": due,
        "finished_at": end,
        "attempts": (attempt,) if letter in "SDFU" else (),
        "error": ErrorClass.UNEXPECTED_STATUS if letter == "F" else None,
        "message": _MESSAGES.get(letter, ""),
        "reason": _REASONS.get(letter),
    }
    return Run(**run | more)


class ListedRuns:
    """The stored runs of all jobs: a list, read as RunReads does. `fails`: its reads do."""

    def __init__(self) -> None:
        self.runs: dict[str, Run] = {}
        self.reads = 0
        self.fails: Exception | None = None
        self.stalls: Iterator[int] = repeat(1)
        """After each page: what others do meanwhile, in turns of the loop."""

    async def list_page(self, job: str | None = None, *, limit: int = 50, continuation: str | None = None) -> RunPage:
        await self._read()
        found = self._list(job or "")
        start = int(continuation or 0)
        records = tuple(map(_record, found[start : start + limit]))
        for _ in range(next(self.stalls)):
            await asyncio.sleep(0)
        return RunPage(records, str(start + limit) if len(found) > start + limit else None)

    async def find_latest(self, job: str, *, fresh: bool = False) -> RunRecord | None:
        await self._read()
        found = [run for run in self._list(job) if run.trigger is not Trigger.BACKFILL]
        return _record(found[0]) if found else None

    async def _read(self) -> None:
        self.reads += 1
        await asyncio.sleep(0)
        if self.fails is not None:
            raise self.fails

    def _list(self, job: str) -> list[Run]:
        found = [run for run in self.runs.values() if run.job == job]
        return sorted(found, key=lambda run: (run.due_at, run.id), reverse=True)


def _record(run: Run) -> RunRecord:
    ticket = Ticket.scheduled(run.job, run.due_at, run.generation)
    return RunRecord(ticket, RunState.FINISHED, "", None, run, "")


class FakeSelfChecks:
    """`cause`: why the scheduler is blind, empty if it is not."""

    def __init__(self) -> None:
        self.cause = ""
        self.is_clock_right = True

    def record(self, endpoint: str, error: ErrorClass | None) -> None:
        """Not needed: `cause` decides."""

    async def explain(self, error: ErrorClass, since: datetime, endpoint: str = "") -> str | None:
        return self.cause

    async def confirms_way(self, now: datetime) -> bool:
        return not self.cause

    async def confirms_clock(self, now: datetime) -> bool:
        return self.is_clock_right


class EvaluatorWorld:
    """`processes`: evaluators over the same rows, runs and clock."""

    def __init__(
        self,
        *jobs: CatalogJob,
        alerting: AlertingDefinitions = NOTHING_DEFINED,
        processes: int = 1,
        shares: bool = False,
    ) -> None:
        self.data = MemoryData()
        self.clock = VirtualClock(START)
        self.runs = ListedRuns()
        self.catalog = Catalog(JobSnapshot(jobs, START, alerting=alerting))
        self.checks = FakeSelfChecks()
        self.starvation = ""
        """Why the process lacks CPU."""
        self.secrets: dict[str, datetime | None] = {}
        self.shares = shares or processes > 1
        self.changes = 0
        self.processes = [self.start() for _ in range(processes)]
        self.minute = 0

    def start(self) -> Process:
        return Process(self)

    @property
    def process(self) -> Process:
        return self.processes[0]

    def restart(self, process: int = 0) -> None:
        """End a process and start another one: what was in its memory is lost."""
        self.processes[process] = self.start()

    def replace(self, *jobs: CatalogJob, alerting: AlertingDefinitions = NOTHING_DEFINED) -> None:
        self.catalog.replace(JobSnapshot(jobs, self.clock.now(), alerting=alerting))

    def store_run(self, run: Run) -> None:
        """Store it, as if the process that executed it had ended before it judged it."""
        self.runs.runs[run.id] = run
        self.clock.move(max((run.finished_at - self.clock.now()).total_seconds(), 0.0))

    async def run(self, job: str, letters: str, process: int = 0, **more: Any) -> list[bool]:
        """Execute and judge a run in each of the next minutes. Return whether each had to be judged."""
        return [await self.finish(run, process) for run in self.next_runs(job, letters, **more)]

    def next_runs(self, job: str, letters: str, **more: Any) -> list[Run]:
        runs = [run_of(job, self.minute + at, letter, **more) for at, letter in enumerate(letters)]
        self.minute += len(letters)
        return runs

    async def finish(self, run: Run, process: int = 0) -> bool:
        self.store_run(run)
        return await self.processes[process].publish(run)

    async def tick(self, seconds: float = 0.0, process: int | None = None) -> None:
        """Let time pass, then tick: all processes, or one."""
        self.clock.move(seconds)
        for each in self.processes if process is None else [self.processes[process]]:
            await each.evaluator.tick()

    def alert(self, subject: str, rule: str = "failed") -> Alert:
        """Return the stored alert; an inactive one without a row."""
        return self.alerts.get(AlertKey(subject, rule), Alert(subject, rule))

    @property
    def alerts(self) -> dict[AlertKey, Alert]:
        rows = [row for row in self.data.rows.values() if row.key.startswith(ALERT_PREFIX)]
        found: Sequence[Alert] = [ALERTS.decode(row.body) for row in rows]
        return {AlertKey(each.subject, each.rule): each for each in found}

    def settle(self) -> None:
        """Delete the rows of resolved alerts, as a pass of the engine does."""
        for place, row in list(self.data.rows.items()):
            if row.key.startswith(ALERT_PREFIX) and not ALERTS.decode(row.body).is_active:
                del self.data.rows[place]


class Process:
    def __init__(self, world: EvaluatorWorld) -> None:
        self._world = world
        self.store = InterleavedStore(world.data)
        stored = Repositories(self.store)
        self.stored = stored
        self.pauses = Pauses(self.store, world.clock.monotonic)
        self.windows = WindowPauses(world.catalog, stored.requested_windows)
        self.pauses.others = self.windows
        self.alerts = KnownAlerts(AlertRows(self.store), world.clock, 60.0 if world.shares else float("inf"))
        counted = CountedRuns(lambda: self.evaluator.book, lambda: self.windows.requested)
        self.samples = SampleReader(world.runs, counted.counts, retains=not world.shares)
        self.due_times = DueTimes(world.runs)
        exclusions = ExclusionReader(world.catalog, stored.incident_log, stored.requested_windows)
        run_counts = RunCountReader(Runs(self.store), exclusions)
        compared_hours = ComparedHoursReader(Runs(self.store), exclusions)
        self.evaluator = AlertEvaluator(
            world.catalog,
            self.alerts,
            self.samples,
            FactReader(stored.circuits, stored.dead_letters, self._find_expiries, run_counts, compared_hours),
            self.due_times,
            GroupEvaluator(self.alerts, world.runs, self.samples, self.pauses, shares_runs=world.shares),
            ObjectiveEvaluator(self.alerts, run_counts, world.clock, shares_runs=world.shares),
            BlindnessWatch(self.alerts, world.checks, world.clock, lambda: world.starvation),
            self.pauses,
            world.clock,
            shares_runs=world.shares,
        )
        self.evaluator.on_change = self._count_change

    async def publish(self, run: Run) -> bool:
        """Judge a run if it must be, as RunPublisher does."""
        is_affected = self.evaluator.is_affected(run)
        if is_affected:
            await self.evaluator.judge(run)
        return is_affected

    def _find_expiries(self, job: JobDefinition) -> list[SecretExpiryFact]:
        return [SecretExpiryFact(name, at) for name, at in self._world.secrets.items()]

    def _count_change(self) -> None:
        self._world.changes += 1
