"""Runs passes of the alerting engine over what is stored. Any number of processes may do so.

    runner = EngineRunner(engine_rows, facts, clock, on_notifications=delivery.wake)
    runner.request_pass()     # after an alert was written: the next tick runs a pass, one for all requests
    await runner.tick()       # by the host, each second (embedded) or with each timer and batch (Functions)
    await runner.aclose()

A pass reads the stored state, decides (jobs.incidents.engine.passing), and writes its result fenced by the head that it
has read. If another process has written meanwhile, it reads and decides again. A process that ends at any line leaves
what the next pass completes.

A person's change of an incident is fenced like a pass. The functions of jobs.incidents.engine.announcing decide it; the
caller records it in the audit trail before.

    changed = await changes.apply(incident, lambda found, now: acknowledge(found, actor, now, note))
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from jobs.incidents.engine.facts import AlertFacts, IncidentStep
from jobs.incidents.engine.passing import PassResult, run_pass
from jobs.incidents.values import Incident
from jobs.ports import Clock
from jobs.problems import format_value
from scheduler.stores.alerting.engine import EngineMoved, EngineRows, EngineState, run_sized
from scheduler.stores.alerting.incident_log import IncidentLog
from scheduler.stores.port import StoreError, StoreUnavailable

_log = logging.getLogger("scheduler.alerting")

IDLE_INTERVAL = 10.0
"""Seconds between passes that nothing in this process requires: another process may have ended before its pass."""
MAX_CONFLICTS = 10
"""Decisions of one pass that other processes overtake."""
_SHORTEST_RETRY, _MAX_RETRY = 1.0, 30.0
"""Seconds after a failure of the store."""


class FactsSource(Protocol):
    async def read_facts(self, now: datetime, state: EngineState) -> AlertFacts:
        """Return the rules, windows, silences, parents and routes in force at an instant. Raises StoreError.

        `state`: the alerts and incidents that the pass judges.
        """
        ...


class EngineRunner:
    """Runs the passes of the engine: what alerts and time have changed, decided and stored. One pass at a time."""

    def __init__(
        self,
        rows: EngineRows,
        facts: FactsSource,
        clock: Clock,
        *,
        on_notifications: Callable[[Collection[str]], None] = lambda channels: None,
    ) -> None:
        """`on_notifications`: called with the channels for which a pass has stored notifications."""
        self._rows = rows
        self._facts = facts
        self._clock = clock
        self._on_notifications = on_notifications
        self._lock = asyncio.Lock()
        self._known: EngineState | None = None
        self._is_requested = True
        self._is_closed = False
        self._idle_until = 0.0
        self._retry_at = 0.0
        self._failures = 0
        self.on_written: Callable[[Iterable[IncidentStep]], None] = lambda steps: None
        """Called with the steps that this process has stored, those of operations included."""
        self.due_at: datetime | None = None
        """When a pass is due even if nothing happens before."""
        self.open_by_severity: Mapping[str, int] | None = None
        """Open incidents after the latest pass of this process; None before it."""
        self.error = ""
        """Why the latest pass failed, for the health page; empty if it did not."""

    def request_pass(self) -> None:
        """Let the next tick run a pass. Any number of requests before it are one pass."""
        self._is_requested = True

    async def tick(self) -> None:
        """Run a pass if one was requested or is due. Failures of the store are logged, and retried by a later tick."""
        if self._is_closed or self._lock.locked() or not self._is_pass_due():
            return
        async with self._lock:
            try:
                await self._run()
            except StoreError as error:
                self._fail(error)

    async def run_pass(self) -> PassResult:
        """Run a pass now, after one that is running. Raises StoreError."""
        async with self._lock:
            return await self._run()

    def report_written(self, steps: Sequence[IncidentStep]) -> None:
        """Take notice of what an operation of this process has written."""
        self.request_pass()
        self._report_written(steps)

    async def aclose(self) -> None:
        """Wait for a running pass. Later ticks do nothing."""
        self._is_closed = True
        async with self._lock:
            pass

    def _is_pass_due(self) -> bool:
        monotonic = self._clock.monotonic()
        if monotonic < self._retry_at:
            return False
        is_due = self.due_at is not None and self.due_at <= self._clock.now()
        return self._is_requested or is_due or monotonic >= self._idle_until

    async def _run(self) -> PassResult:
        # A request during the pass is about an alert that it has perhaps not read.
        self._is_requested = False
        last_read, self._known = self._known, None
        for _ in range(MAX_CONFLICTS):
            try:
                result = await self._decide_and_write(last_read)
            except EngineMoved:
                last_read = None
                continue
            except BaseException:
                self._is_requested = True
                raise
            self._succeed(result)
            return result
        self._is_requested = True
        raise StoreError(f"other processes changed the incidents {MAX_CONFLICTS} times meanwhile")

    async def _decide_and_write(self, last_read: EngineState | None) -> PassResult:
        state = await self._rows.read(last_read)
        now = self._clock.now()
        facts = await self._facts.read_facts(now, state)
        alerts = [each.alert for each in state.alerts]
        result = await run_sized(len(alerts), run_pass, state.open, alerts, facts, resolved=state.resolved)
        keys = frozenset(result.settled)
        settled = [each for each in state.alerts if each.key in keys]
        if result.steps or settled or result.expired:
            await self._rows.write(state.head, now, result.steps, settled, result.expired)
        else:
            self._known = state
        self.open_by_severity = _count_open(state.open, result.steps)
        return result

    def _succeed(self, result: PassResult) -> None:
        self.due_at, self.error, self._failures = result.due_at, "", 0
        self._idle_until = self._clock.monotonic() + IDLE_INTERVAL
        self._report_written(result.steps)

    def _report_written(self, steps: Sequence[IncidentStep]) -> None:
        self.on_written(steps)
        channels = {each.channel for step in steps for each in step.notifications}
        if channels:
            self._on_notifications(channels)

    def _fail(self, error: StoreError) -> None:
        wait = min(_SHORTEST_RETRY * 2**self._failures, _MAX_RETRY)
        self._failures = min(self._failures + 1, 10)
        self._retry_at = self._clock.monotonic() + wait
        self.error = str(error)
        _log.warning("could not run a pass of the alerting engine: %s; a later tick retries", error)


def _count_open(before: Sequence[Incident], steps: Iterable[IncidentStep]) -> Mapping[str, int]:
    after = {each.id: each for each in before} | {step.incident.id: step.incident for step in steps}
    return Counter(each.severity for each in after.values() if each.is_open)


Action = Callable[[Incident, datetime], IncidentStep]
"""Called with the current incident and the current instant, again if another process has changed it meanwhile."""


class UnknownIncident(LookupError):
    """No incident has this id."""

    def __init__(self, incident: str) -> None:
        super().__init__(f"there is no incident {format_value(incident)}: list the incidents to find its id")


class IncidentChanges:
    """Changes an incident as a person requests it, and runs a pass for what follows from it."""

    def __init__(self, rows: EngineRows, log: IncidentLog, runner: EngineRunner, clock: Clock) -> None:
        self._rows = rows
        self._log = log
        self._runner = runner
        self._clock = clock

    async def apply(self, incident: str, action: Action) -> Incident:
        """Store what the action makes of the incident, and return it.

        Raises:
            UnknownIncident: it does not exist.
            ActionRefused: of the action, such as for a resolved incident.
            StoreError: it is unknown whether it was changed.
        """
        for _ in range(MAX_CONFLICTS):
            state, now = await self._rows.read(), self._clock.now()
            found = next((each for each in state.incidents if each.id == incident), None)
            found = found or await self._log.find(incident)
            if found is None:
                raise UnknownIncident(incident)
            step = action(found, now)
            try:
                await self._rows.write(state.head, now, [step])
            except EngineMoved:
                continue
            self._runner.report_written([step])
            return step.incident
        raise StoreUnavailable(f"other processes changed the incidents {MAX_CONFLICTS} times meanwhile: try again")
