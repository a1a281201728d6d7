"""Plans and applies a desired set of stored jobs: everything or nothing. Created by scheduler.app.program.

A set has an owner, and deletes only jobs of its owner. A job that another set owns, or that was made by hand, is a
conflict, unless the caller adopts it. For a caller that is limited to tags, jobs without them do not exist: its sets
neither contain nor delete them.

What takes longer with each job of a set runs in a thread, so that runs do not start late.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from pydantic_core import to_json

from jobs.ports import Clock
from jobs.problems import Problem
from scheduler.catalog.catalog import Operation
from scheduler.catalog.composition import JobSources
from scheduler.catalog.written_jobs import LocatedStoredJob, PresetLibrary, WrittenJobs, read_written_jobs
from scheduler.errors import Conflict, InvalidDefinition
from scheduler.features.jobs.queries import next_due_instants
from scheduler.features.stored_jobs.allowed_changes import is_used_by_others, read_only_message, used_message
from scheduler.features.stored_jobs.committing import UNCHANGED, Decision, StoredJobCommitter, audit_set
from scheduler.features.stored_jobs.models import FieldChangeModel, JobDifferenceModel, ReasonModel, SetPlanModel
from scheduler.features.stored_jobs.queries import FieldChange, compare_definitions, view_problem
from scheduler.identity.principal import Caller
from scheduler.stores.rows import encode_json
from scheduler.stores.stored_jobs.tree import JobWrite
from scheduler.turns import release_later


@dataclass(slots=True)
class SetDifferences:
    """`conflicts`: reasons by name of the job. `unchanged`: the number of jobs that stay as they are."""

    writes: list[JobWrite] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)
    unchanged: int = 0


def compare_set(
    sources: JobSources,
    owner: str,
    written: WrittenJobs,
    adopt: bool,
    committer: StoredJobCommitter,
    caller: Caller,
    past: Container[str],
) -> SetDifferences:
    """Return what a desired set would change.

    `past`: names whose past belongs to jobs that do not exist for the caller.
    """
    differences = SetDifferences()
    for name, definition in written.definitions.items():
        if name in past or is_used_by_others(sources, name, caller):
            differences.conflicts[name] = used_message(name)
            continue
        if (of_file := sources.index.jobs.get(name)) is not None:
            differences.conflicts[name] = read_only_message(name, of_file.origin)
            continue
        entry = sources.tree.find_job(name)
        if entry is not None and entry.owner != owner and not adopt:
            holder = f"belongs to the set {entry.owner}" if entry.owner else "was made by hand"
            differences.conflicts[name] = f"the job {name} {holder}; adopt it to make it part of this set"
        elif entry is not None and entry.owner == owner and _is_equal(sources, name, definition, committer):
            differences.unchanged += 1
        else:
            differences.writes.append(JobWrite(name, definition, owner, f"set {owner}"))
    differences.writes += _removals(sources, owner, written, caller)
    return differences


def _removals(sources: JobSources, owner: str, written: WrittenJobs, caller: Caller) -> Iterator[JobWrite]:
    for name, one in sources.stored.items():
        is_removed = one.entry.owner == owner and name not in written.definitions
        if is_removed and not is_used_by_others(sources, name, caller):
            yield JobWrite(name, None, owner, f"set {owner}")


def _is_equal(sources: JobSources, name: str, definition: Mapping[str, Any], committer: StoredJobCommitter) -> bool:
    stored = sources.stored[name]
    if encode_json(definition) == stored.entry.text:
        return True
    if stored.located is None:
        return False
    located = committer.define(name, definition)
    return isinstance(located, LocatedStoredJob) and located.job == stored.located.job


NEXT_RUNS = 10
"""Due instants of a changed job before and after the change."""
_MAX_NAMED = 10
"""Names in the message of a conflict."""


@dataclass(frozen=True, slots=True)
class JobDifference:
    """A job that a set adds, changes or removes. `next_before`, `next_after`: its next due instants."""

    name: str
    fields: Sequence[FieldChange] = ()
    next_before: Sequence[datetime] = ()
    next_after: Sequence[datetime] = ()


@dataclass(frozen=True, slots=True)
class SetReview:
    """What jobs need from outside and cannot have. `denied`: reasons by job. `secrets`: at the keys that name them."""

    denied: Mapping[str, str] = field(default_factory=dict)
    secrets: Sequence[Problem] = ()
    warnings: Sequence[Problem] = ()


@dataclass(frozen=True, slots=True)
class SetPlan:
    """`conflicts`: reasons by name of the job; a set with one cannot be applied. `id`: confirms the plan."""

    id: str
    owner: str
    added: list[JobDifference]
    changed: list[JobDifference]
    removed: list[JobDifference]
    unchanged: int
    conflicts: Mapping[str, str]
    review: SetReview
    is_applied: bool = False


class JobSetApplier(Operation):
    """`plan` and `apply` raise InvalidDefinition, Conflict and StoreError."""

    def __init__(
        self,
        committer: StoredJobCommitter,
        clock: Clock,
        review: Callable[[Sequence[LocatedStoredJob]], Awaitable[SetReview]],
    ) -> None:
        self._committer = committer
        self._clock = clock
        self._review = review

    async def plan(
        self, owner: str, document: Any, caller: Caller, *, adopt: bool = False, allow_literal: bool = False
    ) -> SetPlan:
        """Return what `apply` would change, with the id that it requires."""
        written = await asyncio.to_thread(_read, document, self._committer.presets)
        sources = await self._committer.read_sources()
        found = await self._compare(sources, owner, written, adopt, caller)
        plan_id = await asyncio.to_thread(_plan_id, sources, owner, written, adopt)
        plan, tried = await self._describe(sources, plan_id, owner, found, caller, allow_literal=allow_literal)
        release_later([*tried.stored.values()])
        return plan

    async def apply(
        self,
        owner: str,
        document: Any,
        plan_id: str,
        caller: Caller,
        *,
        adopt: bool = False,
        dry_run: bool = False,
        allow_literal: bool = False,
    ) -> SetPlan:
        """Make the planned changes together. Raises Conflict: the jobs or the set differ from those of the plan."""
        written = await asyncio.to_thread(_read, document, self._committer.presets)
        plans: list[SetPlan] = []

        async def decide(sources: JobSources) -> Decision:
            if plan_id != await asyncio.to_thread(_plan_id, sources, owner, written, adopt):
                raise Conflict("the stored jobs, the job files or the set have changed since the plan: plan again")
            compared = await self._compare(sources, owner, written, adopt, caller)
            if compared.conflicts:
                names = ", ".join(list(compared.conflicts)[:_MAX_NAMED])
                first = next(iter(compared.conflicts.values()))
                raise Conflict(f"the set {owner} cannot have these jobs: {names} ({first})")
            plan, tried = await self._describe(
                sources, plan_id, owner, compared, caller, is_applied=not dry_run, allow_literal=allow_literal
            )
            plans[:] = [plan]
            if dry_run or not compared.writes:
                release_later([*tried.stored.values()])
                return UNCHANGED
            change = await asyncio.to_thread(audit_set, owner, sources.tree, compared.writes)
            return Decision(compared.writes, change, tried)

        await self._committer.commit(caller, decide)
        return plans[0]

    async def _compare(
        self, sources: JobSources, owner: str, written: WrittenJobs, adopt: bool, caller: Caller
    ) -> SetDifferences:
        past = await self._committer.find_names_of_others(sources, written.definitions, caller)
        return await asyncio.to_thread(compare_set, sources, owner, written, adopt, self._committer, caller, past)

    async def _describe(
        self,
        sources: JobSources,
        plan_id: str,
        owner: str,
        compared: SetDifferences,
        caller: Caller,
        *,
        is_applied: bool = False,
        allow_literal: bool = False,
    ) -> tuple[SetPlan, JobSources]:
        """Return the plan, and the jobs after it."""
        tried = await self._committer.try_out(
            sources, compared.writes, caller, with_names=True, allow_literal=allow_literal
        )
        differences, new = await asyncio.to_thread(_describe_writes, compared.writes, sources, tried, self._clock.now())
        plan = SetPlan(
            id=plan_id,
            owner=owner,
            added=differences.added,
            changed=differences.changed,
            removed=differences.removed,
            unchanged=compared.unchanged,
            conflicts=compared.conflicts,
            review=await self._review(new),
            is_applied=is_applied,
        )
        return plan, tried


class _SortedDifferences(NamedTuple):
    added: list[JobDifference]
    changed: list[JobDifference]
    removed: list[JobDifference]


def _describe_writes(
    writes: Sequence[JobWrite], sources: JobSources, tried: JobSources, now: datetime
) -> tuple[_SortedDifferences, Sequence[LocatedStoredJob]]:
    """Return the differences, and the jobs that are written."""
    sorted_differences = _SortedDifferences([], [], [])
    new: list[LocatedStoredJob] = []
    for name, write in {write.name: write for write in writes}.items():
        difference = _find_difference(name, sources, tried, now)
        if write.definition is None:
            sorted_differences.removed.append(difference)
            continue
        is_known = sources.tree.find_job(name) is not None
        (sorted_differences.changed if is_known else sorted_differences.added).append(difference)
        if (located := tried.stored[name].located) is not None:
            new.append(located)
    return sorted_differences, new


def _find_difference(name: str, sources: JobSources, tried: JobSources, now: datetime) -> JobDifference:
    sides = [known.stored[name].located if name in known.stored else None for known in (sources, tried)]
    before, after = ({} if one is None else one.job.to_json() for one in sides)
    fields = list(compare_definitions(before, after)) if before and after else []
    return JobDifference(name, fields, *(_find_next_due(one, now) for one in sides))


def _find_next_due(located: LocatedStoredJob | None, now: datetime) -> Sequence[datetime]:
    if located is None or located.job.schedule is None or not located.job.enabled:
        return ()
    return next_due_instants(located.job.schedule, now, NEXT_RUNS)


def _read(document: Any, presets: PresetLibrary) -> WrittenJobs:
    written = read_written_jobs(document, presets=presets)
    if written.problems:
        raise InvalidDefinition(written.problems)
    return written


def _plan_id(sources: JobSources, owner: str, written: WrittenJobs, adopt: bool) -> str:
    head = sources.tree.head
    parts = [head.generation, head.digest, sources.files.digest, owner, adopt]
    found = hashlib.sha256(encode_json(parts).encode())
    # Job by job: one call for all of 10,000 would occupy the interpreter for 10 ms, also in a thread.
    for name, definition in sorted(written.definitions.items()):
        found.update(encode_json([name, definition]).encode())
    return found.hexdigest()[:32]


def view_plan(plan: SetPlan) -> SetPlanModel:
    """Return a plan as the API and `--json` show it."""
    return SetPlanModel.from_object(
        plan,
        plan_id=plan.id,
        applied=plan.is_applied,
        added=list(map(_view_difference, plan.added)),
        changed=list(map(_view_difference, plan.changed)),
        removed=list(map(_view_difference, plan.removed)),
        conflicts=[ReasonModel(name=name, reason=reason) for name, reason in plan.conflicts.items()],
        denied_targets=[ReasonModel(name=name, reason=reason) for name, reason in plan.review.denied.items()],
        unavailable_secrets=list(map(view_problem, plan.review.secrets)),
        warnings=list(map(view_problem, plan.review.warnings)),
    )


def _view_difference(difference: JobDifference) -> JobDifferenceModel:
    fields = list(map(FieldChangeModel.from_object, difference.fields))
    return JobDifferenceModel.from_object(difference, fields=fields)


def serialize_plan(plan: SetPlan) -> bytes:
    """Return the JSON of the plan's model. For a thread.

    The differences are serialized one by one, and removed from the plan: to serialize or to free 10,000 at once would
    occupy the interpreter, also for the event loop.
    """
    rest = view_plan(replace(plan, added=[], changed=[], removed=[]))
    parts: list[bytes] = []
    for name in SetPlanModel.model_fields:
        differences = {"added": plan.added, "changed": plan.changed, "removed": plan.removed}.get(name)
        if differences is None:
            text = to_json(getattr(rest, name))
        else:
            text = b"[%s]" % b",".join(map(_serialize_difference, _take_all(differences)))
        parts.append(b'"%s":%s' % (name.encode(), text))
    return b"{%s}" % b",".join(parts)


def _serialize_difference(difference: JobDifference) -> bytes:
    return to_json(_view_difference(difference))


def _take_all(differences: list[JobDifference]) -> Iterator[JobDifference]:
    differences.reverse()
    while differences:
        yield differences.pop()
