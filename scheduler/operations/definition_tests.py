"""Runs the check of a definition that is not saved, once, with its deadlines, guard, secrets and retries.

Called by scheduler.api. The run is stored only on request, never published, and no circuit counts it. The scope is
manage: a definition decides to which host a secret is sent.
"""

from __future__ import annotations

import asyncio

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.definition import JobDefinition
from jobs.model_base import find_secret_names
from jobs.ports import Clock
from jobs.running.runner import Runner
from jobs.runs import Ticket
from jobs.targets import HeartbeatTarget
from scheduler.audit.trail import AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import Catalog
from scheduler.errors import InvalidArgument
from scheduler.identity.principal import Caller, describe_invisible_job
from scheduler.stores.runs.repository import RunRecord, Runs, RunState

MAX_TEST_SECONDS = 60.0
"""Seconds of a run, whatever its timeout is. The front end of Azure Functions cancels a request after 230."""
_MAX_CONCURRENT = 4
"""Test runs at a time; others wait."""


class DefinitionTester:
    def __init__(
        self,
        runner: Runner,
        clock: Clock,
        audit: AuditTrail,
        catalog: Catalog,
        runs: Runs,
        bindings: Bindings = UNRESTRICTED,
    ) -> None:
        """`runner`: one that publishes nothing."""
        self._runner = runner
        self._catalog = catalog
        self._runs = runs
        self._clock = clock
        self._audit = audit
        self._bindings = bindings
        self._places = asyncio.Semaphore(_MAX_CONCURRENT)

    async def run_once(self, job: JobDefinition, *, caller: Caller, store: bool = False) -> RunRecord:
        """Run the check of a definition to its end. `store`: as a run on demand of the saved job of that name.

        Raises:
            InvalidArgument: the check waits for pings, or the job or a secret does not exist for the caller.
            UnknownJob: the run is to be stored, and there is no saved job of that name.
            StoreError: the test run could not be recorded in the audit trail and did not start, or it could not be
                stored.
        """
        if store:
            self._catalog.get_job(job.name)
        if isinstance(job.check, HeartbeatTarget):
            raise InvalidArgument("check", "a heartbeat contacts no target: it judges the pings of a saved job")
        if not caller.principal.sees(job.tags):
            raise InvalidArgument("tags", describe_invisible_job(caller.principal.tags))
        for name in sorted(find_secret_names(job.check)) if caller.principal.tags else ():
            if not self._bindings.admits_tags(name, caller.principal.own_tags(job.tags)):
                raise InvalidArgument("check", f"the secret {name} is not for this job")
        ticket = Ticket.requested(job.name, self._clock.now(), job.generation())
        change = AuditedChange(
            "definition.test",
            job.name,
            f"an unsaved definition of {job.name} was run once",
            (job.name,),
            after={"check": job.check.endpoint, "stored": store},
        )
        timeout = job.timeout.model_copy(update={"run": min(job.timeout.run, MAX_TEST_SECONDS)})
        async with self._places, audited(self._audit, caller, change):
            run = await self._runner.run(job.model_copy(update={"circuit": None, "timeout": timeout}), ticket)
            if store:
                await self._runs.insert_finished(ticket, run)
        return RunRecord(ticket, RunState.FINISHED, "", None, run, "")
