"""Starts the ticker at the cursor of the last process, saves the cursor, and reports missing ticks. Called by host."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from jobs.formats.instants import format_instant
from scheduler.app import Program
from scheduler.health.report import HealthProbe, HealthStatus, PartHealth
from scheduler.hosts.embedded.ticker import MAX_TICK_INTERVAL, Ticker
from scheduler.stores.port import StoreError
from scheduler.stores.schedules import LONGEST_TICK_GAP, PLANNED_UNTIL_CURSOR

_log = logging.getLogger("scheduler.hosts.embedded.tick_loop")

CURSOR_SAVE_INTERVAL = 2.0
"""Seconds between two writes of the tick cursor."""
CLOCK_SETBACK_TOLERANCE = timedelta(minutes=1)
"""A cursor that is ahead by more than this was written by a wrong clock; the next start would plan only from there."""
MAX_TICK_GAP = 5 * MAX_TICK_INTERVAL
"""Seconds without a tick after which health is down."""


async def create_ticker(program: Program) -> Ticker:
    """Create the ticker. It continues at the cursor of the last process, for schedules that have not changed since."""
    in_force_since = await program.repositories.schedule_activations.record_all(
        program.catalog.schedules(), program.clock.now()
    )
    planned_until = await program.repositories.cursors.read(PLANNED_UNTIL_CURSOR)
    await program.repositories.cursors.record_start(program.clock.now())
    await program.pauses.list_active(program.clock.now())
    return Ticker(
        program.catalog,
        program.worker,
        program.clock,
        after=planned_until,
        in_force_since=in_force_since,
        pauses_at=program.pauses.list_cached,
        on_planned=program.telemetry.tick_planned,
    )


async def save_cursor_periodically(program: Program, ticker: Ticker) -> None:
    """Save the tick cursor periodically. Runs after the last saved cursor are known by their claims."""
    while True:
        slept_from = program.clock.now()
        await program.clock.sleep(CURSOR_SAVE_INTERVAL)
        if program.clock.now() - slept_from > LONGEST_TICK_GAP:
            # The machine was suspended: for alerts, that is a start.
            with suppress(StoreError):
                await program.repositories.cursors.record_start(program.clock.now())
        await save_tick_cursor(program, ticker)
        # Read pauses of other processes (commands) here: the ticker itself never waits for the store.
        await program.pauses.list_active(program.clock.now())
        await program.secret_monitor.check_versions()


async def save_tick_cursor(program: Program, ticker: Ticker) -> None:
    until = program.worker.persisted_until(ticker.last_tick)
    try:
        if await program.repositories.cursors.advance(PLANNED_UNTIL_CURSOR, until) - until > CLOCK_SETBACK_TOLERANCE:
            await program.repositories.cursors.rewind(PLANNED_UNTIL_CURSOR, until)
    except StoreError as error:
        _log.warning("could not save the tick cursor: %s; retrying in %g s", error, CURSOR_SAVE_INTERVAL)


def last_tick_reader(ticker: Ticker) -> Callable[[], Awaitable[datetime]]:
    async def last_tick() -> datetime:
        return ticker.last_tick

    return last_tick


def ticker_probe(program: Program, ticker: Ticker) -> HealthProbe:
    async def probe() -> Sequence[PartHealth]:
        gap = (program.clock.now() - ticker.last_tick).total_seconds()
        if gap > MAX_TICK_GAP:
            return (
                PartHealth(
                    "ticker", HealthStatus.DOWN, f"no tick for {gap:.0f} s, so no job starts: restart the scheduler"
                ),
            )
        if (until := ticker.repeated_until(program.clock.now())) is not None:
            message = (
                f"the machine's clock was set back: runs before {format_instant(until)} are not repeated; "
                "check the machine's time synchronisation"
            )
            return (PartHealth("ticker", HealthStatus.DEGRADED, message),)
        return (PartHealth("ticker", HealthStatus.OK),)

    return probe
