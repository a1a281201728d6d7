"""What is open while the program runs, and what a process is for. Made by building, used by hosts and commands."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from config.settings import Settings
    from jobs.ports import Clock
    from observability.telemetry import Telemetry
    from scheduler.catalog import Catalog
    from scheduler.circuit_board import CircuitBoard
    from scheduler.health import Health
    from scheduler.heartbeats import HeartbeatViews
    from scheduler.operations import Operations
    from scheduler.queries import Queries
    from scheduler.queue_work import QueueWork
    from scheduler.reloading import Reloading
    from scheduler.secret_watch import SecretWatch
    from scheduler.services import Services
    from scheduler.stores.cursors import Cursors
    from scheduler.stores.dead_letters import DeadLetters
    from scheduler.stores.pauses import Pauses
    from scheduler.stores.runs import Runs
    from scheduler.stores.schedule_marks import ScheduleMarks
    from scheduler.tick_work import TickWork
    from scheduler.uptimes import Uptimes
    from scheduler.watchdog import Taking, Watchdog
    from scheduler.work.worker import Worker


class Role(StrEnum):
    """What the process is for."""

    EMBEDDED = "embedded"
    TOOL = "tool"
    """A command beside a running server: it takes nothing that the server needs for itself."""
    FUNCTIONS = "functions"


@dataclass(frozen=True, slots=True)
class Program:
    """Everything that is open. `tick_work` and `queue_work` are there in the Functions host only."""

    settings: Settings
    catalog: Catalog
    clock: Clock
    runs: Runs
    cursors: Cursors
    marks: ScheduleMarks
    pauses: Pauses
    dead_letters: DeadLetters
    worker: Worker
    operations: Operations
    queries: Queries
    health: Health
    watchdog: Watchdog
    secret_watch: SecretWatch
    circuits: CircuitBoard
    heartbeats: HeartbeatViews
    uptimes: Uptimes
    taking: Taking
    """The worker for those who hand it tickets, so that the watchdog knows what waits."""
    telemetry: Telemetry
    reloading: Reloading | None
    """None for a command, which is over soon."""
    tick_work: TickWork | None
    queue_work: QueueWork | None

    def services(self) -> Services:
        """What the API gets of it."""
        from scheduler.services import Services
        from scheduler.version import VERSION

        return Services(
            operations=self.operations,
            queries=self.queries,
            health=self.health,
            watchdog=self.watchdog,
            secrets=self.secret_watch,
            circuits=self.circuits,
            heartbeats=self.heartbeats,
            uptimes=self.uptimes,
            clock=self.clock,
            environment=self.settings.environment,
            version=self.settings.version or VERSION,
        )
