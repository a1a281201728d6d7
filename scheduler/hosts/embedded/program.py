"""The program of the embedded host, with what only it has. Opened by scheduler.hosts.embedded.host."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TextIO

from config.loading import Configuration
from config.settings.fields import LOOPBACK_HOSTS
from config.settings.model import Settings
from jobs.checks.addresses import OwnEndpoint
from jobs.ports import Clock
from scheduler.app import Program, open_program
from scheduler.app.adapters import find_file_check
from scheduler.app.health_probes import results_probe
from scheduler.app.profile import HostProfile
from scheduler.app.reloader_setup import open_reloader
from scheduler.catalog.reloading import JobReloader
from scheduler.worker.options import EMBEDDED_OPTIONS


@dataclass(frozen=True, slots=True)
class EmbeddedProfile(HostProfile):
    """The only process that runs the jobs of its store. `served_at`: where it serves the API."""

    served_at: tuple[OwnEndpoint, ...] = ()

    worker_options = EMBEDDED_OPTIONS
    is_only_worker = True

    def own_endpoints(self, settings: Settings) -> tuple[OwnEndpoint, ...]:
        return self.served_at

    def is_on_loopback(self, settings: Settings) -> bool:
        """See HostProfile.is_on_loopback."""
        if not self.served_at:
            return settings.host in LOOPBACK_HOSTS
        return all(ip_address(endpoint.host).is_loopback for endpoint in self.served_at)

    def log_stream(self) -> TextIO:
        return sys.stdout


@dataclass(frozen=True, slots=True)
class EmbeddedProgram:
    program: Program
    job_reloader: JobReloader


@asynccontextmanager
async def open_embedded_program(
    configuration: Configuration, *served_at: OwnEndpoint, clock: Clock | None = None
) -> AsyncIterator[EmbeddedProgram]:
    """Open the program and the host's own parts; leaving closes them. Raises StoreError."""
    async with AsyncExitStack() as stack:
        program = await stack.enter_async_context(open_program(configuration, EmbeddedProfile(served_at), clock=clock))
        if (check := find_file_check(program.store)) is not None:
            stack.push_async_callback(_cancel_and_wait, asyncio.create_task(check.run()))
        await program.check_setup.prepare_jobs()
        program.health.add_probe("results", results_probe(program.worker, program.clock))
        yield EmbeddedProgram(program, await stack.enter_async_context(open_reloader(configuration, program)))


async def _cancel_and_wait(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
