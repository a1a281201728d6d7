"""Opens the store for commands that only read, without worker, checks and telemetry.

It takes a fifth of the time of the whole program: each part is imported on first use. Called by scheduler.cli.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from config.identity import AppIdentity
from config.settings.model import Settings
from jobs.running.clocks import SystemClock
from scheduler.app.adapters import open_store
from scheduler.app.options import make_options
from scheduler.catalog.catalog import Catalog
from scheduler.services import Services

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from jobs.ports import Clock
    from scheduler.alerting.rotas import RotaReader
    from scheduler.audit.trail import AuditTrail
    from scheduler.catalog.catalog import JobSnapshot
    from scheduler.catalog.composition import JobComposer, JobSources
    from scheduler.features.access.service import ApiKeyManager, SessionManager
    from scheduler.features.stored_jobs.queries import StoredJobQueries
    from scheduler.stores.port import Store


class ReadOnlyProgram(Services):
    """The parts of an open store that read. They know no jobs before `compose_jobs`."""

    _composer: JobComposer

    def __init__(
        self, settings: Settings, store: Store, clock: Clock, identity: AppIdentity, stack: AsyncExitStack
    ) -> None:
        super().__init__(make_options(settings), Catalog(()), store, clock)
        self._settings = settings
        self._identity = identity
        self._stack = stack

    async def compose_jobs(self, files: JobSet) -> JobSources:
        """Put the jobs of these files and the stored jobs in force, for all queries. Raises StoreError."""
        from config.stored_jobs import StoredJobDefiner
        from scheduler.catalog.composition import JobComposer, build_snapshot

        self.catalog.replace(build_snapshot(files, self.clock.now()))
        definer = StoredJobDefiner(self._settings.default_schedule)
        self._composer = JobComposer(self.catalog, files, self.clock, definer)
        await self._composer.replace_tree(await self.repositories.stored_jobs.read())
        return self._composer.sources

    @cached_property
    def stored_jobs(self) -> StoredJobQueries:
        """For the jobs of `compose_jobs`."""
        from scheduler.features.stored_jobs.queries import StoredJobQueries

        return StoredJobQueries(self._composer, self.repositories.stored_jobs)

    @cached_property
    def api_keys(self) -> ApiKeyManager:
        """It changes something, as `sessions` does: keys are made before the first start, without any job."""
        from scheduler.features.access.service import ApiKeyManager

        return ApiKeyManager(self.repositories.api_keys, self.audit, self.clock)

    @cached_property
    def sessions(self) -> SessionManager:
        from scheduler.features.access.service import SessionManager

        return SessionManager(self.repositories.sessions, self.audit, self.clock)

    @cached_property
    def audit(self) -> AuditTrail:
        from jobs.redaction import Redactor
        from scheduler.audit.stored_trail import StoredAuditTrail

        return StoredAuditTrail(self.repositories.audit_log, self.clock, Redactor())

    @property
    def snapshot(self) -> JobSnapshot:
        """The jobs in force."""
        return self.catalog.snapshot

    def make_rotas(self) -> RotaReader:
        """Return the reader of the calendars of rotas, which is closed with the program."""
        from scheduler.app.rota_calendars import build_rota_reader

        return build_rota_reader(self._settings, self._identity, self.clock, self._stack)


@asynccontextmanager
async def open_read_only(settings: Settings) -> AsyncIterator[ReadOnlyProgram]:
    """Open the store next to a running server. Raises StoreError."""
    async with AsyncExitStack() as stack:
        clock = SystemClock()
        identity = AppIdentity(settings, clock=clock)
        stack.push_async_callback(identity.aclose)
        store = await open_store(settings, identity, owns_file=False)
        stack.push_async_callback(store.aclose)
        yield ReadOnlyProgram(settings, store, clock, identity, stack)
