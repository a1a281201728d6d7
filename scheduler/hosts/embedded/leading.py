"""The work of the process that leads: it plans, recovers, prunes, evaluates and watches. Started by the host.

A process with a SQLite file leads for its whole life. Among replicas one leads; when it stops, another one does the
same work from the stored cursor on, as after a restart. Each replica serves the API, and runs what is requested there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from functools import partial

from scheduler.app import Program
from scheduler.hosts.embedded.leadership import Leadership
from scheduler.hosts.embedded.program import prune_periodically, record_states
from scheduler.hosts.embedded.recovery import RunRecovery
from scheduler.hosts.embedded.ticker import Ticker, create_ticker, pace_of, save_cursor_periodically
from scheduler.stores.leases import LeaderRow
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.hosts.embedded.host")

TASK_RESTART_DELAY = 30.0
"""Seconds until a background task that failed is restarted."""
LEAD_RETRY_DELAY = 1.0
"""Seconds until a process that leads reads the cursor again, if the store was unavailable."""
TAKEOVER_RECOVERY_LIMIT = 5.0
"""Seconds for which a process that takes over recovers runs before it plans."""
RECOVERY_CONCURRENCY_DIVISOR = 4
"""One of this many concurrent runs may be a run that an earlier process left open. The others are for due runs."""


@asynccontextmanager
async def background_tasks(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[None]:
    """Run background tasks while the block runs. Log a task that fails; health reports it."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    for task in tasks:
        task.add_done_callback(_log_task_failure)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def restart_on_failure(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """Run `work`, and restart it after a failure: health does not report that such a task has ended."""
    while True:
        try:
            await work()
        except Exception as error:
            _log.critical("a background task failed; restarting it in %g s", TASK_RESTART_DELAY, exc_info=error)
        await asyncio.sleep(TASK_RESTART_DELAY)


def _log_task_failure(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("a background task failed and is not restarted", exc_info=error)


class LeadingWork:
    """`ticker`: that of this process while it leads, also when it stops."""

    def __init__(self, program: Program) -> None:
        self._program = program
        row = LeaderRow(program.store) if program.has_replicas else None
        self.leadership = Leadership(row, program.owner, program.clock)
        self.ticker: Ticker | None = None
        self._planned: tuple[int, Ticker] | None = None
        """The ticker of a term, which continues where it stopped if no other process led meanwhile."""
        self._recovery = _create_recovery(program, self.leadership)
        self._renewing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Lead at once if no other process does: then the first runs start when the API does. Raises StoreError."""
        program = self._program
        program.health.add_probe("recovery", self._recovery.health)
        program.health.add_probe("leader", self.leadership.health)
        program.worker.trust_claims_while(lambda: self.leadership.is_leading)
        await self.leadership.tick()
        # Until it resigns, also while it drains: no process may take its runs over meanwhile.
        self._renewing = asyncio.create_task(restart_on_failure(self.leadership.run))
        if self.leadership.is_leading:
            self.ticker = await create_ticker(program, lambda: self.leadership.is_leading)
            self._planned = self.leadership.term, self.ticker
        else:
            program.worker.mark_ready()
            await program.pauses.list_active(program.clock.now())

    async def run(self) -> None:
        """Do the work whenever this process leads, until cancelled."""
        while True:
            await self.leadership.wait_until(leading=True)
            try:
                ticker = await self._find_ticker()
            except StoreError as error:
                _log.warning("could not read the tick cursor: %s; retrying in %g s", error, LEAD_RETRY_DELAY)
                await self._program.clock.sleep(LEAD_RETRY_DELAY)
                continue
            except Exception as error:  # while this process renews its row, no other one plans
                _log.critical("could not take the lead over; retrying in %g s", LEAD_RETRY_DELAY, exc_info=error)
                await self._program.clock.sleep(LEAD_RETRY_DELAY)
                continue
            self.ticker = ticker
            async with background_tasks(*self._work(ticker)):
                await self.leadership.wait_until(leading=False)
            self.ticker = None

    async def _find_ticker(self) -> Ticker:
        """Return the ticker of this term. Raises StoreError."""
        term = self.leadership.term
        if self._planned is None or self._planned[0] != term:
            self._planned = term, await self._take_over()
        return self._planned[1]

    async def _take_over(self) -> Ticker:
        """Recover the runs of the former leader before the next runs of their jobs are due, but not at their cost.

        Raises StoreError.
        """
        try:
            async with asyncio.timeout(TAKEOVER_RECOVERY_LIMIT):
                await self._recovery.sweep_at_takeover()
        except (StoreError, TimeoutError) as error:
            reason = str(error) or f"it takes longer than {TAKEOVER_RECOVERY_LIMIT:g} s"
            _log.warning("could not recover the former leader's runs yet: %s; continuing in the background", reason)
        return await create_ticker(self._program, lambda: self.leadership.is_leading)

    async def resign(self) -> None:
        """Let another process lead: after the claims that this one deletes, or the next leader would find them."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.wait([self._renewing])
        await self.leadership.resign()

    @property
    def is_leading(self) -> bool:
        return self.leadership.is_leading

    def tick(self) -> None:
        """Plan by changed jobs at once, if this process leads."""
        if self.ticker is not None:
            self.ticker.tick()

    @property
    def has_unplanned_changes(self) -> bool:
        """See Ticker.has_unplanned_changes."""
        return self.ticker is not None and self.ticker.has_unplanned_changes

    def _work(self, ticker: Ticker) -> Sequence[Coroutine[None, None, None]]:
        program, azure_health = self._program, self._program.alerting.azure_health
        return (
            # Not restarted: health reports when it ends.
            ticker.run(),
            restart_on_failure(self._recovery.run),
            restart_on_failure(partial(prune_periodically, program)),
            restart_on_failure(partial(record_states, program)),
            restart_on_failure(partial(save_cursor_periodically, program, ticker)),
            restart_on_failure(program.watchdog.run),
            restart_on_failure(program.self_watch.run),
            restart_on_failure(program.alerting.run),
            restart_on_failure(program.alerting.run_daily_tests),
            *([restart_on_failure(azure_health.run)] if azure_health is not None else []),
        )


def _create_recovery(program: Program, leadership: Leadership) -> RunRecovery:
    return RunRecovery(
        program.catalog,
        program.runs,
        program.repositories.dead_letters,
        program.worker,
        program.clock,
        max_concurrent_turns=max(1, program.settings.concurrency // RECOVERY_CONCURRENCY_DIVISOR),
        has_died=leadership.has_died,
        has_replicas=leadership.is_shared,
        on_time=pace_of(program).on_time,
    )
