"""Definitions that are not saved: what a review finds, and a single run of their check.

The review is a port: scheduler.app has the settings, the secrets and the guard of the targets. A test run is stored
only on request, never published, and no circuit counts it. Its scope is manage: a definition decides to which host a
secret is sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.definition import JobDefinition
from jobs.model_base import find_secret_names
from jobs.ports import Clock
from jobs.running.runner import Runner
from jobs.runs import Ticket
from jobs.targets import HeartbeatTarget
from scheduler.audit.recording import audited
from scheduler.audit.trail import AuditedChange, AuditTrail
from scheduler.catalog.catalog import Catalog, CatalogJob, JobSnapshot, Operation
from scheduler.errors import InvalidArgument
from scheduler.identity.caller import Caller
from scheduler.identity.tags import describe_invisible_job
from scheduler.stores.runs.repository import RunRecord, Runs, RunState

if TYPE_CHECKING:
    from jobs.problems import Problem


@dataclass(frozen=True, slots=True)
class DefinitionReview:
    """`jobs`: the valid ones, by name. `denied_targets`: why the settings do not allow the target, by job."""

    jobs: Mapping[str, JobDefinition]
    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    denied_targets: Mapping[str, str] = field(default_factory=dict)
    unavailable_secrets: tuple[Problem, ...] = ()


class DefinitionReviewer(Protocol):
    async def read(self, content: bytes, *, is_json: bool, catalog: Catalog) -> DefinitionReview:
        """Validate a document as a job file is validated. `catalog`: jobs to which those of the document can refer."""
        ...

    async def review(self, content: bytes, *, is_json: bool, catalog: Catalog) -> DefinitionReview:
        """Return the same with denied targets, credentials and secrets, which takes a few seconds at most."""
        ...


def find_related_jobs(jobs: Sequence[JobDefinition], snapshot: JobSnapshot) -> Iterator[CatalogJob]:
    """Yield the jobs in force that these depend on or have as parents, at any distance, and members of their groups."""
    found: dict[str, CatalogJob] = {}
    left = [name for job in jobs for name in _references_of(job)]
    while left:
        entry = snapshot.find_job(left.pop())
        if entry is not None and entry.job.name not in found:
            found[entry.job.name] = entry
            left += _references_of(entry.job)
    groups = frozenset[str]().union(*map(_groups_of, jobs))
    if groups:
        found |= {entry.job.name: entry for entry in snapshot if _groups_of(entry.job) & groups}
    yield from found.values()


def _references_of(job: JobDefinition) -> list[str]:
    return [*(dependency.job for dependency in job.depends_on), *job.alert_parent]


def _groups_of(job: JobDefinition) -> frozenset[str]:
    """Return the names of the groups that the job is a member of."""
    groups = [job.concurrency_group and job.concurrency_group.name, job.circuit and job.circuit.group]
    return frozenset(group for group in groups if group)


MAX_TEST_SECONDS = 60.0
"""Seconds of a run, whatever its timeout is. The front end of Azure Functions cancels a request after 230."""
_MAX_CONCURRENT = 4
"""Test runs at a time; others wait."""


class DefinitionTester(Operation):
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
