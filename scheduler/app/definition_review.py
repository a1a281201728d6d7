"""Reviews definitions that are not saved yet, such as those that a caller of the API validates.

A definition can be valid and yet not work here: the guard denies its target, a credential is bound to other hosts, or a
secret does not exist. `read` validates only; `review` and `review_stored` find these, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from config.job_files.edited import read_unsaved_jobs
from config.job_files.job_set import JobSet, LocatedExternalUse
from config.presets.library import NO_OWN_PRESETS, PresetLibrary
from config.stored_jobs import LocatedStoredJob, join_uses, name_jobs
from config.warnings import warnings_of_denied_credentials
from jobs.checks.binding.rules import Bindings
from jobs.checks.guard import Guard
from jobs.definition import JobDefinition
from jobs.errors import SecretUnavailable
from jobs.ports import Secrets
from jobs.problems import Problem
from jobs.schedules import Schedule
from scheduler.catalog.catalog import Catalog, JobSnapshot
from scheduler.catalog.job_warnings import find_denied_targets
from scheduler.features.jobs.definitions import DefinitionReview, find_related_jobs
from scheduler.features.stored_jobs.sets import SetReview

SECRETS_TIMEOUT = 10.0
"""Seconds for all secrets of a request together."""
_MAX_LOOKUPS = 8
"""Secrets that are looked up at a time."""


class ProgramDefinitionReviewer:
    """Reviews definitions by what this program can reach: its secrets, guard and bindings."""

    def __init__(
        self, secrets: Secrets, guard: Guard, bindings: Bindings, default_schedule: Schedule | None = None
    ) -> None:
        self.find_presets: Callable[[], PresetLibrary] = lambda: NO_OWN_PRESETS
        self._secrets = secrets
        self._guard = guard
        self._bindings = bindings
        self._default_schedule = default_schedule

    async def read(self, content: bytes, *, is_json: bool, catalog: Catalog) -> DefinitionReview:
        """Validate a document as a job file is validated."""
        jobs, problems = await asyncio.to_thread(self._read, content, is_json, catalog.snapshot)
        return DefinitionReview(jobs.jobs, problems, jobs.warnings)

    async def review(self, content: bytes, *, is_json: bool, catalog: Catalog) -> DefinitionReview:
        """Validate a document, and find its denied targets, denied credentials and unavailable secrets."""
        jobs, problems = await asyncio.to_thread(self._read, content, is_json, catalog.snapshot)
        denied = tuple(warnings_of_denied_credentials(jobs, self._bindings))
        return replace(
            DefinitionReview(jobs.jobs, problems),
            warnings=(*jobs.warnings, *denied),
            denied_targets=find_denied_targets(jobs, self._guard),
            unavailable_secrets=await self._find_unavailable_secrets(jobs.uses),
        )

    async def review_stored(self, jobs: Sequence[LocatedStoredJob]) -> SetReview:
        """Return what these jobs need from outside and cannot have."""
        job_set, denied, warnings = await asyncio.to_thread(self._review_set, jobs)
        unavailable = await self._find_unavailable_secrets(use for use in job_set.uses if use.job.enabled)
        return SetReview(denied, unavailable, warnings)

    def _review_set(self, jobs: Sequence[LocatedStoredJob]) -> tuple[JobSet, Mapping[str, str], Sequence[Problem]]:
        """Return the set, the reasons of denied targets by job, and the warnings."""
        job_set = name_jobs(join_uses(JobSet(), jobs), jobs)
        credentials = tuple(warnings_of_denied_credentials(job_set, self._bindings))
        return job_set, find_denied_targets(job_set, self._guard), (*job_set.warnings, *credentials)

    def _read(self, content: bytes, is_json: bool, snapshot: JobSnapshot) -> tuple[JobSet, tuple[Problem, ...]]:
        def find_related(jobs: Sequence[JobDefinition]) -> list[tuple[JobDefinition, str]]:
            return [(entry.job, entry.origin) for entry in find_related_jobs(jobs, snapshot)]

        return read_unsaved_jobs(
            content,
            is_json=is_json,
            find_related=find_related,
            default_schedule=self._default_schedule,
            alerting_in_force=snapshot.alerting,
            presets=self.find_presets(),
        )

    async def _find_unavailable_secrets(self, external_uses: Iterable[LocatedExternalUse]) -> tuple[Problem, ...]:
        """Return a problem for each secret that cannot be read, at its first use."""
        first: dict[str, LocatedExternalUse] = {}
        for use in external_uses:
            if use.use.kind == "secret":
                first.setdefault(use.use.name, use)
        lookups = asyncio.Semaphore(_MAX_LOOKUPS)
        tasks = {name: asyncio.create_task(self._explain_secret(name, lookups)) for name in first}
        if not tasks:
            return ()
        _, late = await asyncio.wait(tasks.values(), timeout=SECRETS_TIMEOUT)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        reasons = {
            name: f"could not be looked up within {SECRETS_TIMEOUT:g} s" if task in late else task.result()
            for name, task in tasks.items()
        }
        return tuple(first[name].problem(f"secret {name}: {reason}") for name, reason in reasons.items() if reason)

    async def _explain_secret(self, name: str, lookups: asyncio.Semaphore) -> str:
        """Return why the secret is unavailable; empty if it is available."""
        async with lookups:
            try:
                await self._secrets.get_secret(name)
            except SecretUnavailable as error:
                return str(error).removeprefix(f"secret {name}: ")
        return ""
