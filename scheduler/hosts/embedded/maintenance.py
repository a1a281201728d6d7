"""Periodic work of the embedded host in addition to its ticks: reload job files, delete old rows. Called by host."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime

from jobs.schedules import Schedule
from scheduler.app import Program
from scheduler.catalog.catalog import JobSnapshot
from scheduler.hosts.embedded.program import EmbeddedProgram
from scheduler.hosts.embedded.ticker import Ticker
from scheduler.stores.port import StoreError

_log = logging.getLogger("scheduler.hosts.embedded.maintenance")

RETENTION_INTERVAL = 30.0
"""Seconds between two deletions of old rows: short, so that each deletes few."""
AUDIT_INTERVAL = 60.0
"""Seconds between two ticks of scheduler.audit.upkeep."""
STATE_INTERVAL = 10.0
"""Seconds between two ticks of scheduler.changes.tracking and scheduler.changes.announcing."""
ACTIVATION_RETRY_DELAY = 0.5
"""Seconds until the activation time of changed schedules is saved again after a failure."""


async def reload_jobs(opened: EmbeddedProgram, ticker: Ticker) -> None:
    """Put changed job files and stored jobs in force, and plan by them at once."""
    program = opened.program
    unsaved: asyncio.Queue[tuple[Mapping[str, Schedule | None], datetime]] = asyncio.Queue()
    changed = asyncio.Event()

    def apply_change(before: JobSnapshot) -> None:
        ticker.tick()
        changed.set()
        unsaved.put_nowait((program.catalog.snapshot.changed_schedules(before), program.clock.now()))

    async def plan_others() -> None:
        """Plan the schedules that the first tick after a change has not planned, while due runs start in between."""
        while True:
            await changed.wait()
            changed.clear()
            while ticker.has_unplanned_changes:
                await asyncio.sleep(0)
                ticker.tick()

    async def save() -> None:
        """Save the activation time of changed schedules, for the next process."""
        while True:
            schedules, since = await unsaved.get()
            while not await _save_activations(program, schedules, since):
                await program.clock.sleep(ACTIVATION_RETRY_DELAY)

    program.stored_job_parts.composer.listeners.append(apply_change)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(opened.job_reloader.run())
            group.create_task(program.stored_job_parts.watcher.run())
            group.create_task(plan_others())
            group.create_task(save())
    finally:
        program.stored_job_parts.composer.listeners.remove(apply_change)


async def _save_activations(program: Program, schedules: Mapping[str, Schedule | None], since: datetime) -> bool:
    """Return whether the store has saved them."""
    try:
        await program.repositories.schedule_activations.record_changes(schedules, since)
    except StoreError as error:
        _log.warning(
            "could not save the activation time of %d changed schedules: %s; retrying in %g s",
            len(schedules),
            error,
            ACTIVATION_RETRY_DELAY,
        )
        return False
    return True


async def keep_audit_trail(program: Program) -> None:
    while True:
        await program.audit_upkeep.tick()
        await program.clock.sleep(AUDIT_INTERVAL)


async def record_states(program: Program) -> None:
    while True:
        await program.state_upkeep.tick()
        await program.change_announcer.tick()
        await program.clock.sleep(STATE_INTERVAL)


async def prune_periodically(program: Program) -> None:
    retention = program.settings.retention
    while True:
        try:
            runs = await program.runs.prune(
                program.clock.now(), retention.age, retention.runs_per_job, program.settings.rollups.age
            )
            letters = await program.repositories.dead_letters.prune(program.clock.now(), retention.age)
            await program.prune_other_rows(program.clock.now())
            await program.stored_job_parts.sweeper.sweep(program.clock.now(), program.settings.deleted_jobs.age)
        except StoreError as error:
            _log.warning("could not delete old runs: %s; retrying in %g s", error, RETENTION_INTERVAL)
        else:
            if runs or letters:
                _log.info("deleted %d old runs and %d old dead letters", runs, letters)
        await program.clock.sleep(RETENTION_INTERVAL)
