"""The program of the embedded host, with what only it has, and its periodic work in addition to the ticks."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Literal, Protocol, TextIO

from config.loading import Configuration
from config.settings.fields import LOOPBACK_HOSTS
from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint
from jobs.ports import Clock
from jobs.schedules import Schedule
from scheduler.app import Program, open_program
from scheduler.app.adapters import find_file_check
from scheduler.app.health_probes import processes_probe, results_probe
from scheduler.app.job_sources import open_reloader
from scheduler.app.profile import HostProfile
from scheduler.catalog.catalog import JobSnapshot
from scheduler.catalog.reloading import JobReloader
from scheduler.catalog.stored_jobs import POLL_INTERVAL
from scheduler.stores.port import StoreError
from scheduler.worker.options import EMBEDDED_OPTIONS, REPLICA_OPTIONS, WorkerOptions


@dataclass(frozen=True, slots=True)
class EmbeddedProfile(HostProfile):
    """The only host that runs the jobs of its store: in one process with SQLite, in one or more with Azure Tables.

    `served_at`: where it serves the API. `process_limit` replaces the setting `processes`."""

    served_at: tuple[OwnEndpoint, ...] = ()
    process_limit: int | Literal["auto"] | None = None

    worker_options = EMBEDDED_OPTIONS
    is_only_worker = True

    def find_worker_options(self, settings: Settings) -> WorkerOptions:
        return REPLICA_OPTIONS if settings.uses_azure_storage else self.worker_options

    def own_endpoints(self, settings: Settings) -> tuple[OwnEndpoint, ...]:
        return self.served_at

    def is_on_loopback(self, settings: Settings) -> bool:
        """Return whether only clients on this machine reach the API."""
        if not self.served_at:
            return settings.host in LOOPBACK_HOSTS
        return all(ip_address(endpoint.host).is_loopback for endpoint in self.served_at)

    def log_stream(self) -> TextIO:
        return sys.stdout

    def processes(self, settings: Settings) -> int | Literal["auto"]:
        return self.process_limit or settings.processes


@dataclass(frozen=True, slots=True)
class EmbeddedProgram:
    program: Program
    job_reloader: JobReloader


@asynccontextmanager
async def open_embedded_program(
    configuration: Configuration,
    *served_at: OwnEndpoint,
    clock: Clock | None = None,
    processes: int | Literal["auto"] | None = None,
) -> AsyncIterator[EmbeddedProgram]:
    """Open the program and the host's own parts; leaving closes them. `processes` replaces the setting.

    Raises StoreError.
    """
    async with AsyncExitStack() as stack:
        profile = EmbeddedProfile(served_at, processes)
        program = await stack.enter_async_context(open_program(configuration, profile, clock=clock))
        if (check := find_file_check(program.store)) is not None:
            stack.push_async_callback(_cancel_and_wait, asyncio.create_task(check.run()))
        await program.check_setup.prepare_jobs()
        program.health.add_probe("results", results_probe(program.worker, program.clock))
        if program.process_pool is not None:
            stack.push_async_callback(program.process_pool.aclose)
            await program.process_pool.open()
            program.health.add_probe("processes", processes_probe(program.process_pool))
        yield EmbeddedProgram(program, await stack.enter_async_context(open_reloader(configuration, program)))


async def _cancel_and_wait(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


_log = logging.getLogger("scheduler.hosts.embedded.program")

RETENTION_INTERVAL = 30.0
"""Seconds between two deletions of old rows: short, so that each deletes few."""
REPLICA_RETENTION_INTERVAL = 120.0
"""The same where each request of the store costs: one deletion makes about 30."""
AUDIT_INTERVAL = 60.0
"""Seconds between two ticks of scheduler.audit.stored_trail."""
STATE_INTERVAL = 10.0
"""Seconds between two ticks of scheduler.changes.tracking and scheduler.changes.announcing."""
SECRETS_INTERVAL = 2.0
"""Seconds between two checks of the versions of secrets, which read the store less often."""
REPLICA_POLL_INTERVAL = 5.0
"""Seconds between two reads of the stored jobs where each request of the store costs."""
ACTIVATION_RETRY_DELAY = 0.5
"""Seconds until the activation time of changed schedules is saved again after a failure."""


class Planner(Protocol):
    """The work of the leader as changed jobs see it."""

    @property
    def has_unplanned_changes(self) -> bool: ...

    @property
    def is_leading(self) -> bool: ...

    def tick(self) -> None: ...


async def reload_jobs(opened: EmbeddedProgram, ticker: Planner) -> None:
    """Put changed job files and stored jobs in force, and plan by them at once, if this process leads."""
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
            # Another leader saves them when its files change.
            while ticker.is_leading and not await _save_activations(program, schedules, since):
                await program.clock.sleep(ACTIVATION_RETRY_DELAY)

    program.stored_job_parts.composer.listeners.append(apply_change)
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(opened.job_reloader.run())
            interval = REPLICA_POLL_INTERVAL if program.has_replicas else POLL_INTERVAL
            group.create_task(program.stored_job_parts.watcher.run(interval))
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


async def watch_secrets(program: Program) -> None:
    """Notice new versions of secrets, which other processes may have found."""
    while True:
        await program.clock.sleep(SECRETS_INTERVAL)
        await program.secret_monitor.check_versions()


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
    interval = REPLICA_RETENTION_INTERVAL if program.has_replicas else RETENTION_INTERVAL
    while True:
        try:
            runs = await program.runs.prune(
                program.clock.now(), retention.age, retention.runs_per_job, program.settings.rollups.age
            )
            letters = await program.repositories.dead_letters.prune(program.clock.now(), retention.age)
            await program.prune_other_rows(program.clock.now())
            await program.stored_job_parts.sweeper.sweep(program.clock.now(), program.settings.deleted_jobs.age)
        except StoreError as error:
            _log.warning("could not delete old runs: %s; retrying in %g s", error, interval)
        else:
            if runs or letters:
                _log.info("deleted %d old runs and %d old dead letters", runs, letters)
        await program.clock.sleep(interval)
