"""Decides and commits changes of stored jobs until no other process has changed them in between, and what the audit
trail records of them. Called by service and sets.

The entry of one job has its definition before and after. The entry of a set has each job with its new version, and what
differs as far as MAX_DIFFERENCES allows: the versions themselves contain the rest. It also has the tags of the jobs
before and after, each combination once: they decide who sees what differs.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from jobs.checks.binding.rules import UNRESTRICTED, Bindings
from jobs.ports import Clock
from jobs.problems import Problem, dotted_path
from scheduler.audit.trail import TAGS_OF_JOBS, AuditedChange, AuditTrail, audited
from scheduler.catalog.catalog import JobSnapshot, Operation
from scheduler.catalog.composition import JobComposer, JobSources, StoredJob
from scheduler.catalog.stored_jobs import ClaimWatch
from scheduler.catalog.written_jobs import MAX_DEFINITION_BYTES, LocatedStoredJob
from scheduler.dispatch.port import DispatchError
from scheduler.errors import Conflict, InvalidDefinition
from scheduler.features.stored_jobs.allowed_changes import (
    OtherUses,
    PastNames,
    StoredJobLimits,
    WritingRules,
    describe_loss,
    describe_lost_name,
    problems_for,
    refuse_file_job,
    used_message,
)
from scheduler.features.stored_jobs.queries import compare_definitions
from scheduler.identity.principal import Caller, written_tags
from scheduler.stores.port import StoreError, StoreUnavailable
from scheduler.stores.rows import decode_json, encode_json
from scheduler.stores.stored_jobs.repository import HeadMoved, StoredJobs
from scheduler.stores.stored_jobs.tree import JobTree, JobWrite, StoredEntry, next_number

if TYPE_CHECKING:
    from config.presets.library import PresetLibrary

_log = logging.getLogger("scheduler.operations.stored_jobs")

MAX_STORED_NAMES = 50_000
"""Names of stored jobs, with those of deleted jobs that can be restored."""
_MAX_ATTEMPTS = 1000
"""Attempts of a change while other processes change stored jobs."""
_MAX_PAUSE = 0.05
"""Seconds between two attempts at most; random, so that processes do not collide again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The changes to make, none if nothing differs, and their entry in the audit trail.

    `tried`: the result of `StoredJobCommitter.try_out` if the decision needed it; the changes are not tried again.
    `allow_literal`: literal credentials are stored. `is_restored`: a job of before exists again, with its pause.
    """

    writes: Sequence[JobWrite]
    change: AuditedChange
    tried: JobSources | None = None
    allow_literal: bool = False
    is_restored: bool = False


UNCHANGED = Decision((), AuditedChange("", "", ""))
"""The decision to change nothing, which is not recorded."""


class StoredJobCommitter(Operation):
    def __init__(
        self,
        stored: StoredJobs,
        composer: JobComposer,
        clock: Clock,
        audit: AuditTrail,
        claims: ClaimWatch,
        past: PastNames,
        bindings: Bindings = UNRESTRICTED,
        limits: StoredJobLimits = StoredJobLimits(),  # noqa: B008  # immutable
    ) -> None:
        self._stored = stored
        self._composer = composer
        self._clock = clock
        self._audit = audit
        self._claims = claims
        self._past = past
        self._bindings = bindings
        self._limits = limits
        self.plan_change: Callable[[JobSnapshot], Awaitable[None]] = _plan_nothing
        """Plans changed schedules at once, where no ticker of this process does. Called with the previous set."""

    @property
    def sources(self) -> JobSources:
        """The jobs as this process knows them."""
        return self._composer.sources

    @property
    def presets(self) -> PresetLibrary:
        """The presets that jobs can use."""
        return self._composer.presets

    def define(self, name: str, definition: object, version: int = 0) -> LocatedStoredJob | tuple[Problem, ...]:
        """Return the job of one definition, or everything that is wrong with it."""
        return self._composer.define(name, definition, version)

    async def read_sources(self) -> JobSources:
        """Return the current jobs, with the changes of other processes. Raises StoreError."""
        tree = await self._stored.read(self._composer.sources.tree)
        await self._composer.replace_tree(tree)
        sources = self._composer.sources
        # A head of the same generation, such as that after a sweep, has another etag.
        return replace(sources, tree=tree) if tree.head.generation == sources.tree.head.generation else sources

    async def find_names_of_others(self, sources: JobSources, names: Iterable[str], caller: Caller) -> frozenset[str]:
        """Return the names without a job that the caller cannot use, see PastNames. Raises StoreError."""
        return await self._past.find_names_of_others(sources, names, caller, self.define)

    async def try_out(
        self,
        sources: JobSources,
        writes: Sequence[JobWrite],
        caller: Caller,
        *,
        with_names: bool = False,
        allow_literal: bool = False,
    ) -> JobSources:
        """Return the jobs after these changes. Raises InvalidDefinition, Conflict.

        `with_names`: keys of problems start with the name of the job, also if one job is changed. `allow_literal`:
        literal credentials are accepted.
        """
        with_names = with_names or len(writes) > 1
        return await asyncio.to_thread(
            self._try_out, sources, writes, caller, with_names=with_names, allow_literal=allow_literal
        )

    def _try_out(
        self,
        sources: JobSources,
        writes: Sequence[JobWrite],
        caller: Caller,
        *,
        with_names: bool,
        allow_literal: bool,
    ) -> JobSources:
        tree = sources.tree.with_entries(write.to_entry(sources.tree) for write in writes)
        names = {write.name for write in writes}
        for write in writes:
            if write.definition is not None and write.name in sources.index.jobs:
                refuse_file_job(sources, write.name, caller)
                raise Conflict(used_message(write.name))
        if oversized := [*_find_oversized(writes)]:
            raise InvalidDefinition(oversized)
        if sum(map(len, tree.buckets.values())) > MAX_STORED_NAMES:
            raise Conflict(f"more than {MAX_STORED_NAMES} names of stored jobs are not possible")
        tried = self._composer.try_out(tree)
        written = [tried.stored[write.name] for write in writes if write.definition is not None]
        rules = WritingRules(caller, self._bindings, OtherUses.find(sources, caller), allow_literal)
        if problems := [*_problems_of(written, tried, rules, with_name=with_names)]:
            raise InvalidDefinition(problems)
        self._limits.refuse_growth(sources.stored, tried.stored, caller)
        for name, one in tried.stored.items():
            if name not in names and sources.stored[name].is_in_force:
                _refuse_loss(sources.stored[name], one, tried, caller)
        return tried

    async def commit(self, caller: Caller, decide: Callable[[JobSources], Awaitable[Decision]]) -> None:
        """Make the changes that `decide` returns for the current jobs; it is called again if they change meanwhile.

        Raises:
            InvalidDefinition, Conflict: nothing was changed; so does whatever `decide` raises.
            StoreError: if the head could not be replaced, it is unknown whether the change was made.
        """
        async with self._stored.change_lock:
            for _ in range(_MAX_ATTEMPTS):
                sources = await self.read_sources()
                # Another request of this process may put the change in force before this one does.
                before = self._composer.snapshot
                if not self._claims.is_held(sources.tree.head.claim):
                    decision = await decide(sources)
                    if not decision.writes:
                        return
                    try:
                        await self._make(sources, decision, caller)
                        break
                    except HeadMoved:
                        pass
                await self._clock.sleep(random.uniform(0, _MAX_PAUSE))
            else:
                raise StoreUnavailable("other processes change the stored jobs all the time: try again later")
        await self._plan(before)

    async def _make(self, sources: JobSources, decision: Decision, caller: Caller) -> None:
        """Raises HeadMoved: nothing was changed or recorded."""
        new = [
            each.name
            for each in decision.writes
            if each.definition is not None and not sources.tree.find_job(each.name)
        ]
        tried = decision.tried or await self.try_out(
            sources, decision.writes, caller, allow_literal=decision.allow_literal
        )
        for name in await self.find_names_of_others(sources, new, caller):
            raise Conflict(used_message(name))
        if not decision.is_restored:
            for name in new:
                await self._past.forget_pause(name)
        at, by = self._clock.now(), caller.principal.id
        record = partial(audited, self._audit, caller, decision.change)
        tree = await self._stored.commit(sources.tree, decision.writes, at, by, record)
        await self._composer.replace_tree(tree, tried)

    async def _plan(self, before: JobSnapshot) -> None:
        try:
            await self.plan_change(before)
        except (StoreError, DispatchError) as error:
            _log.warning("could not plan changed jobs at once: %s; the next tick plans them", error)


async def _plan_nothing(before: JobSnapshot) -> None:
    """A ticker of this process, or the next tick of another one, plans the change."""


def _refuse_loss(before: StoredJob, after: StoredJob, tried: JobSources, caller: Caller) -> None:
    """Raises Conflict: a job that is not changed would not be in force any more, or its alerts need what is removed."""
    if after.problems:
        raise Conflict(describe_loss(after.entry.name, after.problems[0], tried, caller))
    lost = [problem for problem in after.unknown_names if problem not in before.unknown_names]
    if lost:
        raise Conflict(describe_lost_name(after.entry.name, lost[0], tried, caller))


def _find_oversized(writes: Sequence[JobWrite]) -> Iterator[Problem]:
    for write in writes:
        if write.definition is not None and (size := len(encode_json(write.definition))) > MAX_DEFINITION_BYTES:
            message = f"the definition of {write.name} has {size} characters, expected at most {MAX_DEFINITION_BYTES}"
            yield Problem("", message)


def _problems_of(
    stored: Sequence[StoredJob], tried: JobSources, rules: WritingRules, *, with_name: bool
) -> Iterator[Problem]:
    for one in stored:
        for problem in problems_for(one, tried, rules):
            key = dotted_path("jobs", one.entry.name, problem.key) if with_name else problem.key
            yield Problem(key, problem.message, problem.hint)


MAX_DEFINITION = 50_000
"""Characters of a definition in an entry. Of a longer one its hash and its size are recorded."""
MAX_VERSIONS_OF_SET = 350_000
"""Characters of the names and versions in the entry of a set, about 10,000 jobs."""
MAX_DIFFERENCES = 60_000
"""Characters of what differs, of all jobs in the entry of a set together."""
MAX_TAGS_OF_SET = 20_000
"""Characters of the combinations of tags in the entry of a set. Without them only callers that see all jobs see it."""
_ACTIONS = {
    "created": "create",
    "replaced": "replace",
    "patched": "patch",
    "deleted": "delete",
    "restored": "restore",
}


def audit_job_change(verb: str, before: StoredEntry | None, write: JobWrite, copied: str = "") -> AuditedChange:
    """Return the entry of a change of one job. `verb`: such as `replaced`. `copied`: the job of which it is a copy."""
    old = None if before is None or before.is_deleted else _state(before.number, before.owner, before.text)
    new = None
    if write.definition is not None:
        new = _state(next_number(before), write.owner, encode_json(write.definition))
    return AuditedChange(
        action=f"job.{_ACTIONS[verb]}",
        object_id=write.name,
        summary=f"job {write.name} was {verb}" + (f" as a copy of {copied}" if copied else ""),
        jobs=(write.name, copied) if copied else (write.name,),
        before=old,
        after=new,
    )


def audit_set(owner: str, tree: JobTree, writes: Sequence[JobWrite]) -> AuditedChange:
    """Return the entry of a set that is applied. `tree`: before the change."""
    written = [write for write in writes if write.definition is not None]
    removed = [write for write in writes if write.definition is None]
    differences, omitted = _fit(((write.name, _differences(tree, write)) for write in writes), MAX_DIFFERENCES)
    versions, unnamed = _fit(((write.name, write.to_entry(tree).number) for write in writes), MAX_VERSIONS_OF_SET)
    after: dict[str, Any] = {
        "written": {write.name: versions[write.name] for write in written if write.name in versions},
        "removed": {write.name: versions[write.name] for write in removed if write.name in versions},
        "differences": differences,
    }
    tags = _combine_tags(tree, writes)
    if len(encode_json(tags)) <= MAX_TAGS_OF_SET:
        after[TAGS_OF_JOBS] = tags
    counts = {"versions_omitted": unnamed, "differences_omitted": omitted}
    return AuditedChange(
        action="set.apply",
        object_id=owner,
        summary=f"the set {owner} was applied: {len(written)} written, {len(removed)} removed",
        jobs=tuple(write.name for write in (*written, *removed)),
        after=after | {key: count for key, count in counts.items() if count},
        max_state=MAX_VERSIONS_OF_SET + MAX_DIFFERENCES + MAX_TAGS_OF_SET + 1000,
    )


def _state(version: int, owner: str, text: str) -> Mapping[str, Any]:
    """`text`: the definition as JSON."""
    if len(text) <= MAX_DEFINITION:
        return {"version": version, "owner": owner, "definition": decode_json(text)}
    digest = hashlib.sha256(text.encode()).hexdigest()
    return {"version": version, "owner": owner, "definition_characters": len(text), "definition_sha256": digest}


def _differences(tree: JobTree, write: JobWrite) -> Sequence[Mapping[str, Any]]:
    """Return each key that differs, in the definitions as users wrote them."""
    entry = tree.find_job(write.name)
    before = {} if entry is None else decode_json(entry.text)
    changes = compare_definitions(before, write.definition or {})
    return [{"path": change.path, "before": change.before, "after": change.after} for change in changes]


def _combine_tags(tree: JobTree, writes: Sequence[JobWrite]) -> Sequence[Mapping[str, str]]:
    """Return each combination of tags that a job has before or after the change."""
    combinations: dict[str, Mapping[str, str]] = {}
    for write in writes:
        entry = tree.find_job(write.name)
        for definition in (None if entry is None else decode_json(entry.text), write.definition):
            if definition is not None:
                tags = written_tags(definition)
                combinations[encode_json(tags)] = tags
    return list(combinations.values())


def _fit(items: Iterable[tuple[str, Any]], limit: int) -> tuple[dict[str, Any], int]:
    """Return the items that fit as JSON, and the number of the others."""
    fitting, size, omitted = dict[str, Any](), 0, 0
    for name, value in items:
        length = len(name) + len(encode_json(value)) + 4
        if size + length > limit:
            omitted += 1
        else:
            size += length
            fitting[name] = value
    return fitting, omitted
