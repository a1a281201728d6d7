"""Parts of the scheduler for its tests: virtual time, and a whole worker over a memory store and a scripted check."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

from config.job_files.job_set import JobSet
from config.stored_jobs import StoredJobDefiner
from jobs.checks.binding.rules import UNRESTRICTED
from jobs.checks.kinds.heartbeat import HeartbeatCheck
from jobs.definition import JobDefinition
from jobs.errors import SecretUnavailable
from jobs.incidents.engine.facts import AlertFacts
from jobs.ports import Clock
from jobs.redaction import Redactor
from jobs.running.circuit_breakers import CircuitBreakers
from jobs.running.runner import Runner
from jobs.runs import Ticket
from jobs.runs.events import NullListener
from scheduler.alerting.channel_testing import ChannelTestSender
from scheduler.alerting.engine_runner import EngineRunner, IncidentChanges
from scheduler.alerting.message_source import DefinitionMessageSource
from scheduler.catalog.catalog import Catalog, CatalogJob
from scheduler.catalog.composition import JobComposer
from scheduler.catalog.stored_jobs import ClaimWatch
from scheduler.changes.tracking import HealthTracker, StateTracker
from scheduler.dependencies import DependencyTrigger, FollowUp
from scheduler.dispatch.port import Dispatch, InProcessDispatch
from scheduler.features.access.service import ApiKeyManager, SessionManager
from scheduler.features.changes.markers import DeploymentMarking
from scheduler.features.channels.queries import ChannelQueries
from scheduler.features.channels.service import ChannelTester, UndeliveredManager
from scheduler.features.circuits.queries import CircuitQueries
from scheduler.features.circuits.service import CircuitControl
from scheduler.features.dead_letters.service import DeadLetterReplayer
from scheduler.features.heartbeats.queries import HeartbeatReader
from scheduler.features.heartbeats.service import PingReceiver
from scheduler.features.incidents.service import IncidentManager
from scheduler.features.jobs.service import Backfiller, DefinitionTester, JobPauser
from scheduler.features.runs.service import RunCanceller, RunStarter
from scheduler.features.secrets.service import SecretMonitor, SecretRefresher
from scheduler.features.stored_jobs.allowed_changes import PastNames, StoredJobLimits
from scheduler.features.stored_jobs.committing import StoredJobCommitter
from scheduler.features.stored_jobs.service import StoredJobEditor
from scheduler.features.stored_jobs.sets import JobSetApplier, SetReview
from scheduler.features.suppressions.service import SilenceManager, WindowManager
from scheduler.gates import RemoteRuns, SlotLeases, gates_in_order
from scheduler.operations import Operations
from scheduler.stores.gates import Pauses
from scheduler.stores.identity import ApiKeys, StoredSessions
from scheduler.stores.port import Row, Store
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.repository import Runs
from scheduler.stores.schedules import SCHEDULES_TABLE
from scheduler.stores.slots import Slots
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.options import EMBEDDED_OPTIONS, WorkerOptions
from scheduler.worker.places import Shares
from scheduler.worker.worker import Worker
from scheduler.worker.worker_dependencies import WorkerDependencies
from tests.jobs.checks.http_check import MemorySecrets
from tests.jobs.running.run_parts import Heard, ScriptedCheck, Step, answer
from tests.jobs.running.virtual_time import LoopClock
from tests.scheduler.audit.memory_trail import MemoryAuditTrail
from tests.scheduler.stores.memory import MemoryData, MemoryStore

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class VirtualClock:
    """Time that passes only when somebody sleeps, or when a test moves it. `on_sleep` sees each sleep."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self.on_sleep: Callable[[float], None] = lambda _: None

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._now.timestamp()

    async def sleep(self, seconds: float) -> None:
        self.on_sleep(seconds)
        self._now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def move(self, seconds: float) -> None:
        self._now += timedelta(seconds=seconds)


def entry(name: str = "checkout", schedule: str | None = "every 10s", **more: object) -> CatalogJob:
    """A job of the catalog."""
    definition = {"name": name, "schedule": schedule, "check": {"kind": "http", "url": "http://127.0.0.1:9/"}}
    return CatalogJob(JobDefinition.model_validate(definition | more), "jobs.yaml:1")


class NoChannels:
    """Implements ChannelDirectory."""

    def list_names(self) -> Sequence[str]:
        return ()

    def find_sender(self, channel: str) -> None:
        return None

    def find_fallback(self, channel: str) -> None:
        return None


@dataclass(frozen=True)
class MemoryOrigin:
    source: str
    read_at: datetime


@dataclass(frozen=True)
class MemoryTrouble:
    name: str
    message: str


class MemoryKept:
    """Secrets that a test sets, and which of them were dropped or read."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.dropped: list[str] = []
        self._read: set[str] = set()

    async def get_secret(self, name: str) -> str:
        if name not in self.values:
            raise SecretUnavailable(f"there is no secret {name}")
        self._read.add(name)
        return self.values[name]

    def drop(self, name: str) -> None:
        self.dropped.append(name)

    def origin(self, name: str) -> MemoryOrigin | None:
        return MemoryOrigin("the vault", START) if name in self._read else None

    def health(self) -> Sequence[MemoryTrouble]:
        return ()


class HeardOfSecrets:
    """What telemetry is told: (message, well)."""

    def __init__(self) -> None:
        self.told: list[tuple[str, bool]] = []

    def watchdog(self, part: str, message: str, *, well: bool) -> None:
        assert part == "secrets"
        self.told.append((message, well))


class Sent:
    """A dispatch that keeps what it is given: (tickets, not before)."""

    def __init__(self) -> None:
        self.sent: list[tuple[tuple[Ticket, ...], datetime | None]] = []
        self.fails: Exception | None = None

    async def send(self, tickets: Sequence[Ticket], *, not_before: datetime | None = None) -> None:
        if self.fails is not None:
            raise self.fails
        self.sent.append((tuple(tickets), not_before))

    async def aclose(self) -> None:
        """Nothing to close."""


def compose(catalog: Catalog, clock: Clock, environ: Mapping[str, str] | None = None) -> JobComposer:
    """A composer whose job files have the catalog's jobs."""
    jobs = {one.job.name: one.job for one in catalog}
    files = JobSet(jobs, {one.job.name: one.origin for one in catalog}, digest=catalog.snapshot.digest or "files")
    return JobComposer(catalog, files, clock, StoredJobDefiner(None, environ or {}))


class NoFacts:
    """Facts of an engine of which no pass runs."""

    async def read_facts(self, now: datetime) -> AlertFacts:
        raise AssertionError("no pass runs")


class WorkerHarness:
    """A worker with everything below it; use within a running loop (virtual time advised)."""

    bindings = UNRESTRICTED

    def __init__(
        self,
        *steps: Step,
        jobs: Sequence[CatalogJob] | None = None,
        data: MemoryData | None = None,
        owner: str = "me",
        places: int = 9,
        shares: Shares | None = None,
        ways: WorkerOptions = EMBEDDED_OPTIONS,
        follow_up: FollowUp | None = None,
        submitted: Callable[[Ticket], None] = lambda _: None,
        began: Callable[[Ticket], None] = lambda _: None,
        shared: bool = False,
        max_running: int | None = None,
        over: Store | None = None,
    ) -> None:
        """`shared`: other processes perform runs, too. `over`: another store than the one in memory."""
        self.clock = LoopClock()
        self.store = MemoryStore(data or MemoryData())
        store = over or self.store
        self.runs = Runs(store, self.clock.monotonic)
        self.repositories = repositories = Repositories(store)
        self.cursors, self.dead_letters = repositories.cursors, repositories.dead_letters
        self.marks = repositories.schedule_activations
        self.check = ScriptedCheck(list(steps) or [answer()])
        self.heard = Heard()
        self.audit, self.audit_log = MemoryAuditTrail(), repositories.audit_log
        self.catalog = Catalog([entry()] if jobs is None else jobs)
        self.composer = compose(self.catalog, self.clock)
        self.stored, self.claims = repositories.stored_jobs, ClaimWatch(self.clock)
        self.stored_job_limits = StoredJobLimits()
        self.tokens, self.redactor, self.heartbeats = MemorySecrets(), Redactor(), repositories.heartbeats
        self.pauses = Pauses(store, self.clock.monotonic)
        self.changes = repositories.changes
        self.states = StateTracker(self.changes, self.clock)
        self.beats = HeartbeatReader(self.catalog, self.heartbeats, self.pauses, self.marks, self.clock)
        beating = HeartbeatCheck(self.beats, self.tokens, self.clock, self.redactor)
        checks = {"http": self.check, "heartbeat": beating}
        self.circuit_states = repositories.circuits
        self.circuits = CircuitQueries(self.catalog, self.circuit_states, self.clock)
        runner = Runner(checks, CircuitBreakers(self.circuit_states), self.heard, self.clock, Redactor())
        self.cancellations = repositories.cancellations
        self.secrets, self.news = MemoryKept(), HeardOfSecrets()
        self.secret_watch = SecretMonitor(store, self.secrets, self.catalog, self.news, self.clock)
        going = RunRegistry(self.cancellations, self.clock)
        dispatch = InProcessDispatch(lambda ticket: self.worker.submit(ticket))
        dependents = DependencyTrigger(
            self.catalog, self.runs, self.pauses, dispatch, self.heard, self.clock, self.states.record_run
        )
        slots = SlotLeases(Slots(store, owner), self.clock)
        self.gates = gates_in_order(
            clock=self.clock,
            pauses=self.pauses,
            runs=self.runs,
            cancel_local=going.cancel,
            slots=slots,
            remote=RemoteRuns(self.runs, slots, self.cancellations, self.clock) if shared else None,
            max_running=max_running,
        )
        self.worker = Worker(
            WorkerDependencies(
                self.catalog,
                self.runs,
                runner,
                self.heard,
                self.clock,
                owner=owner,
                concurrency=places,
                shares=shares,
                registry=going,
                gates=self.gates,
                dead_letters=self.dead_letters,
                follow_up=follow_up or dependents,
                states=self.states,
                health=HealthTracker(repositories.health_histories, self.clock),
                options=ways,
                on_submitted=submitted,
                on_started=began,
            )
        )

    def in_force(self, since: datetime, *jobs: str) -> Self:
        """Let these jobs (all of them, if none is named) have been in force since then, as a host would have noted."""
        for job in jobs or self.catalog.names():
            body = json.dumps({"schedule": "of then", "since": since.isoformat()})
            self.store.data.rows[SCHEDULES_TABLE, "all", job] = Row("all", job, body, f"since-{job}")
        return self

    async def review_set(self, jobs: object) -> SetReview:
        """Everything is allowed and available."""
        return SetReview()

    def operations(self, dispatch: Dispatch) -> Operations:
        past = PastNames(self.stored, self.changes, self.runs, self.dead_letters, self.pauses, self.clock)
        committer = StoredJobCommitter(
            self.stored,
            self.composer,
            self.clock,
            self.audit,
            self.claims,
            past,
            self.bindings,
            self.stored_job_limits,
        )
        running = RunStarter(self.catalog, self.runs, dispatch, self.clock, self.audit, end_of=self.worker.end_of)
        return Operations(
            runs=running,
            pauses=JobPauser(self.catalog, self.pauses, self.clock, self.audit, self.states),
            cancellations=RunCanceller(
                self.catalog,
                self.runs,
                running,
                self.cancellations,
                self.worker.cancel,
                self.worker.publisher,
                self.clock,
                self.audit,
            ),
            dead_letters=DeadLetterReplayer(
                self.catalog, self.dead_letters, self.runs, dispatch, self.clock, self.audit
            ),
            backfills=Backfiller(self.catalog, self.runs, self.marks, dispatch, self.clock, self.audit),
            circuits=CircuitControl(self.circuits, self.circuit_states, self.clock, self.audit),
            secrets=SecretRefresher(self.secret_watch, self.audit),
            definition_tests=DefinitionTester(
                Runner(
                    {"http": self.check}, CircuitBreakers(self.circuit_states), NullListener(), self.clock, Redactor()
                ),
                self.clock,
                self.audit,
                self.catalog,
                self.runs,
                self.bindings,
            ),
            pings=PingReceiver(
                self.catalog,
                self.tokens,
                self.heartbeats,
                self.beats,
                self.pauses,
                running,
                self.redactor,
                self.clock,
                self.bindings,
            ),
            api_keys=ApiKeyManager(ApiKeys(self.store), self.audit, self.clock),
            sessions=SessionManager(StoredSessions(self.store), self.audit, self.clock),
            markers=DeploymentMarking(self.catalog, self.repositories.markers, self.clock, self.audit),
            stored_jobs=StoredJobEditor(self.stored, committer),
            job_sets=JobSetApplier(committer, self.clock, self.review_set),
            incidents=self._incident_manager(),
            silences=SilenceManager(self.catalog, self.repositories.silences, self.clock, self.audit),
            windows=WindowManager(self.catalog, self.repositories.requested_windows, self.clock, self.audit),
            undelivered=UndeliveredManager(
                ChannelQueries(self.catalog, self.repositories.outbox_rows, self.repositories.undelivered, self.clock),
                self.repositories.undelivered,
                self.clock,
                self.audit,
            ),
            channel_tests=self._channel_tester(),
        )

    def _channel_tester(self) -> ChannelTester:
        """No channel is defined: nothing is sent."""
        stored = self.repositories
        source = DefinitionMessageSource(self.catalog, self.runs, None, stored.incident_log, stored.health_histories)
        tester = ChannelTestSender(NoChannels(), source, stored.outbox_rows, self.clock)
        return ChannelTester(self.catalog, stored.incident_log, tester, self.audit)

    def _incident_manager(self) -> IncidentManager:
        """No pass runs: tests store incidents."""
        rows, log = self.repositories.engine_rows, self.repositories.incident_log
        changes = IncidentChanges(rows, log, EngineRunner(rows, NoFacts(), self.clock), self.clock)
        return IncidentManager(self.catalog, log, changes, self.clock, self.audit)

    def ticket(self, seconds: float = 0.0, job: str = "checkout") -> Ticket:
        """A scheduled ticket, due so long after now."""
        due_at = self.clock.now() + timedelta(seconds=seconds)
        return Ticket.scheduled(job, due_at, self.catalog.get_job(job).generation)


Shop = WorkerHarness
"""The name that some tests still use."""
