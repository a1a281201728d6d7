"""What the parts of a worker share. Built by scheduler.app.operations for scheduler.worker.worker."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from jobs.ports import Clock
from jobs.running.runner import Runner
from jobs.runs import Ticket
from jobs.runs.events import RunListener
from scheduler.catalog.catalog import Catalog
from scheduler.changes.tracking import HealthTracker, StateTracker
from scheduler.dependencies import FollowUp, NoFollowUp
from scheduler.gates import Gates
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.runs.repository import Runs
from scheduler.worker.cancellation import RunRegistry
from scheduler.worker.claims import CLAIM_RETRY_WINDOW, RunLeases, TicketClaimer
from scheduler.worker.options import EMBEDDED_OPTIONS, WorkerOptions
from scheduler.worker.place_assignment import InterruptibleSleep
from scheduler.worker.places import FifoSemaphore, Shares
from scheduler.worker.publishing import RunJudge, RunPublisher
from scheduler.worker.recorder import ResultRecorder

STARTS_PER_TURN = 4
"""Runs that start in one turn of the event loop. At 1,000 runs a second, response times are true to 26 ms with 2 and to
80 ms with 8; but each turn costs as much as a third of a run."""

TicketCallback = Callable[[Ticket], None]


class WorkerDependencies:
    def __init__(
        self,
        catalog: Catalog,
        runs: Runs,
        runner: Runner,
        listener: RunListener,
        clock: Clock,
        *,
        owner: str,
        concurrency: int,
        shares: Shares | None = None,
        registry: RunRegistry,
        gates: Gates,
        dead_letters: DeadLetters,
        follow_up: FollowUp | None = None,
        states: StateTracker | None = None,
        alerts: RunJudge | None = None,
        health: HealthTracker | None = None,
        options: WorkerOptions = EMBEDDED_OPTIONS,
        on_submitted: TicketCallback = lambda _: None,
        on_started: TicketCallback = lambda _: None,
    ) -> None:
        """`owner` identifies the claims of this process. `concurrency`: number of runs in-flight at most. `shares`: the
        parts of all places for one job and one host. `on_submitted` is called for each ticket that waits from now on or
        from its instant, `on_started` once it does not wait for its turn any more.
        """
        self.catalog, self.runs, self.runner, self.clock = catalog, runs, runner, clock
        self.registry, self.gates, self.options = registry, gates, options
        self.on_submitted, self.on_started, self.health = on_submitted, on_started, health
        self.leases = RunLeases(runs, clock, owner)
        after, window = follow_up or NoFollowUp(), CLAIM_RETRY_WINDOW if options.retries_claims else timedelta()
        self.claimer = TicketClaimer(catalog, runs, self.leases, registry, clock, retry_window=window)
        self.publisher = RunPublisher(listener, after, runs, states, alerts, health, acknowledges=options.acknowledges)
        self.publisher.acknowledge_delay = options.acknowledge_delay
        self.recorder = ResultRecorder(
            runs,
            dead_letters,
            clock,
            max_delay=options.result_delay,
            backlog_bytes=options.backlog_bytes,
            backlog_timeout=options.backlog_timeout,
            on_backlogged=self.publisher.publish_telemetry_early,
        )
        self.sleep = InterruptibleSleep(clock)
        self.semaphore = FifoSemaphore(concurrency, shares, clock.monotonic, STARTS_PER_TURN)
