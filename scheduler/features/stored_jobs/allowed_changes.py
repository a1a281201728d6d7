"""Which changes of stored jobs a caller may make, and what it learns of jobs that do not exist for it.

A written job may name secrets, tokens of heartbeats, groups and channels, unless they belong to others: for a caller
that is limited to tags, what only jobs of others use belongs to them. Of a name it learns that it is used, and nothing
else. It cannot use the name of a former job of others again: runs, state changes, dead letters and pauses belong to a
name, and it would read and control them.

A store may have more jobs than the limits of today allow: only growth is refused. A change is judged by the jobs that
it replaces as a whole, so that concurrent changes cannot exceed a limit together.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from jobs.alerting.rule import Escalation
from jobs.checks.binding.names import normalize_secret_name
from jobs.checks.binding.rules import Bindings
from jobs.definition import JobDefinition
from jobs.ports import Clock
from jobs.problems import KeyPath, Problem, dotted_path
from jobs.targets import HeartbeatTarget
from jobs.warnings.credentials import find_literal_credentials
from scheduler.catalog.catalog import Operation
from scheduler.catalog.composition import JobSources, StoredJob
from scheduler.catalog.written_jobs import LocatedStoredJob
from scheduler.errors import Conflict, ReadOnlyJob
from scheduler.features.stored_jobs.queries import Define, is_declared_for, select_visible_versions
from scheduler.identity.principal import (
    Caller,
    ChangeSource,
    Principal,
    Tags,
    describe_invisible_job,
    format_tag_limits,
)
from scheduler.stores.changes import StateChanges
from scheduler.stores.dead_letters import DeadLetters
from scheduler.stores.gates import Pauses
from scheduler.stores.runs.repository import Runs
from scheduler.stores.stored_jobs.repository import StoredJobs


class _Notifying(Protocol):
    @property
    def notify(self) -> Sequence[str]: ...

    @property
    def escalate(self) -> Sequence[Escalation]: ...


_Use = tuple[str, str]
"""The kind, such as `group`, and the name."""
_ALLOW_LITERAL = "or accept it with ?allow_literal=true, which is --allow-literal of the commands"


@dataclass(frozen=True, slots=True)
class OtherUses:
    """What jobs name that do not exist for a caller, and no job does that exists for it."""

    uses: frozenset[_Use] = frozenset()

    @classmethod
    def find(cls, sources: JobSources, caller: Caller) -> OtherUses:
        """Return nothing for a caller that sees all jobs."""
        if not caller.principal.tags:
            return cls()
        jobs = [one.job for one in sources.index.jobs.values()]
        jobs += [one.located.job for one in sources.stored.values() if one.located is not None]
        own, others = set[_Use](), set[_Use]()
        for job in jobs:
            is_own = caller.principal.sees(job.tags)
            (own if is_own else others).update(use for _, use in _uses_of(job))
        declared = {("group", group.name) for group in sources.index.groups}
        return cls(frozenset(others - own - declared))


def find_uses_of_others(
    located: LocatedStoredJob, others: OtherUses, bindings: Bindings, principal: Principal
) -> Iterator[Problem]:
    """Yield what the job names and its author must not use. A message does not tell why: it would name a use."""
    for key, (kind, name) in _uses_of(located.job):
        if (kind, name) in others.uses:
            yield Problem(key, *_describe_denied_use(kind, name))
    tags = principal.own_tags(located.job.tags)
    for use in located.uses:
        if use.kind == "secret" and not bindings.admits_tags(use.name, tags):
            yield Problem(dotted_path(*use.path), *_describe_denied_use("secret", use.name))


def find_literal_warnings(located: LocatedStoredJob) -> Iterator[Problem]:
    """Yield the warnings of `validate` about literal credentials, as problems."""
    messages = {finding.message for finding in find_literal_credentials(located.job)}
    for warning in located.warnings if messages else ():
        if warning.message in messages:
            yield Problem(warning.key, warning.message, f"{warning.hint}; {_ALLOW_LITERAL}")


def _uses_of(job: JobDefinition) -> Iterator[tuple[str, _Use]]:
    """Yield each key with what it names."""
    if job.concurrency_group is not None:
        yield "concurrency_group", ("group", job.concurrency_group.name)
    if job.circuit is not None and job.circuit.group is not None:
        yield "circuit.group", ("group", job.circuit.group)
    if isinstance(job.check, HeartbeatTarget):
        yield "check.token", ("secret", normalize_secret_name(job.check.token.secret))
    for index, rule in enumerate(job.alerts or ()):
        yield from _channels_in(("alerts", index), rule)
    burn = job.slo.alerts if job.slo is not None else None
    for name, options in () if burn is None else (("page", burn.page), ("ticket", burn.ticket)):
        if options is not None:
            yield from _channels_in(("slo", "alerts", name), options)


def _channels_in(path: KeyPath, rule: _Notifying) -> Iterator[tuple[str, _Use]]:
    places = [((*path, "notify"), rule.notify)]
    places += [((*path, "escalate", step, "notify"), each.notify) for step, each in enumerate(rule.escalate)]
    for place, names in places:
        for position, name in enumerate(names):
            yield dotted_path(*(place if len(names) == 1 else (*place, position))), ("channel", name)


def _describe_denied_use(kind: str, name: str) -> tuple[str, str]:
    """Return message and hint. Those of a channel are the same if it does not exist."""
    if kind == "channel":
        return f"there is no channel {name}", "define it in alerting.channels of a job file, or name another one"
    return f"the {kind} {name} is not for this job", "name another one"


@dataclass(frozen=True, slots=True)
class WritingRules:
    """What a caller may write. `others`: what only jobs use that do not exist for it."""

    caller: Caller
    bindings: Bindings
    others: OtherUses
    allow_literal: bool = False


_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_SUGGESTION = ", did you mean"
_HIDDEN = "conflicts with a job that does not exist for you"


def read_only_message(name: str, origin: str) -> str:
    return f"the job {name} is defined in {origin}, and job files are changed as files only"


def is_used_by_others(sources: JobSources, name: str, caller: Caller) -> bool:
    """Return whether the name is that of a job that does not exist for the caller."""
    is_used = name in sources.index.jobs or name in sources.stored
    return is_used and not is_declared_for(sources, name, caller)


def used_message(name: str) -> str:
    return f"the name {name} is used: choose another one"


def refuse_used_name(sources: JobSources, name: str, caller: Caller) -> None:
    """Raises Conflict: a new job cannot have the name."""
    if is_used_by_others(sources, name, caller):
        raise Conflict(used_message(name))
    if name in sources.stored:
        raise Conflict(f"the job {name} exists already: PUT /api/jobs/{name} replaces it")
    refuse_file_job(sources, name, caller)


def refuse_file_job(sources: JobSources, name: str, caller: Caller) -> None:
    """Raises ReadOnlyJob: a job file defines the job."""
    of_file = sources.index.jobs.get(name)
    if of_file is not None and caller.principal.sees(of_file.job.tags):
        raise ReadOnlyJob(read_only_message(name, of_file.origin))


def problems_for(written: StoredJob, tried: JobSources, rules: WritingRules) -> Iterator[Problem]:
    """Yield what is wrong with a written job, as the caller may know it."""
    caller = rules.caller
    for problem in written.problems:
        yield _conceal(problem, tried, caller)
    for problem in written.unknown_names:
        yield _conceal(_without_suggestion(problem) if caller.principal.tags else problem, tried, caller)
    if written.located is None:
        return
    if caller.source is ChangeSource.API and not rules.allow_literal:
        yield from find_literal_warnings(written.located)
    if not caller.principal.tags:
        return
    if not caller.principal.sees(written.located.job.tags):
        yield Problem("tags", describe_invisible_job(caller.principal.tags))
    for index, dependency in enumerate(written.located.job.depends_on):
        if is_used_by_others(tried, dependency.job, caller):
            yield Problem(f"depends_on[{index}]", f"there is no job named {dependency.job!r}")
    for parent in written.located.job.alert_parent:
        if is_used_by_others(tried, parent, caller):
            yield Problem("alert_parent", f"the parent {parent} is neither a job nor a group")
    yield from find_uses_of_others(written.located, rules.others, rules.bindings, caller.principal)


def describe_loss(name: str, problem: Problem, tried: JobSources, caller: Caller) -> str:
    """Return why a change is refused after which another job would not be in force."""
    if is_used_by_others(tried, name, caller):
        return "a job that does not exist for you would no longer be in force"
    return f"the job {name} would no longer be in force: {_conceal(problem, tried, caller)}"


def describe_lost_name(name: str, problem: Problem, tried: JobSources, caller: Caller) -> str:
    """Return why a change is refused after which the alerts of another job would name something unknown."""
    if is_used_by_others(tried, name, caller):
        return "the alerts of a job that does not exist for you need it"
    return f"the alerts of the job {name} need it: {_conceal(problem, tried, caller)}"


def _conceal(problem: Problem, tried: JobSources, caller: Caller) -> Problem:
    if not caller.principal.tags or not _names_others(problem, tried, caller):
        return problem
    known = Problem(problem.key, _without_suggestion(problem).message)
    return Problem(problem.key, _HIDDEN) if _names_others(known, tried, caller) else known


def _without_suggestion(problem: Problem) -> Problem:
    """Return the problem of an unknown name without a similar name, which can be that of others."""
    return replace(problem, message=problem.message.partition(_SUGGESTION)[0])


def _names_others(problem: Problem, tried: JobSources, caller: Caller) -> bool:
    words = _WORD.findall(f"{problem.message} {problem.hint}")
    return any(is_used_by_others(tried, word.rstrip(".-"), caller) for word in words)


class PastNames(Operation):
    """Methods that await raise StoreError."""

    def __init__(
        self,
        stored: StoredJobs,
        states: StateChanges,
        runs: Runs,
        letters: DeadLetters,
        pauses: Pauses,
        clock: Clock,
    ) -> None:
        self._stored = stored
        self._states = states
        self._runs = runs
        self._letters = letters
        self._pauses = pauses
        self._clock = clock

    async def find_names_of_others(
        self, sources: JobSources, names: Iterable[str], caller: Caller, define: Define
    ) -> frozenset[str]:
        """Return the names without a job whose past is not wholly visible to the caller.

        Without retained versions no tags of that time are known, so any other trace is a past of others.
        """
        if not caller.principal.tags:
            return frozenset()
        unused = [name for name in names if name not in sources.stored and name not in sources.index.jobs]
        return frozenset([name for name in unused if await self._is_of_others(sources, name, caller, define)])

    async def forget_pause(self, name: str) -> None:
        """Remove the pause of a former job of the name, which a new job must not get."""
        await self._pauses.remove(name)

    async def _is_of_others(self, sources: JobSources, name: str, caller: Caller, define: Define) -> bool:
        entry = sources.tree.find(name)
        if entry is not None:
            versions = await self._stored.list_versions(entry)
            return len(select_visible_versions(versions, caller, define)) < max(len(versions), 1)
        return (
            await self._states.read_state(name) is not None
            or bool((await self._runs.list_page(name, limit=1)).records)
            or bool((await self._letters.read_page(job=name, limit=1)).letters)
            or await self._pauses.find_active(name, self._clock.now()) is not None
        )


@dataclass(frozen=True, slots=True)
class StoredJobLimits:
    """`total`: of stored jobs. `per_tag`: of those with one of the tags that limit the caller."""

    total: int = 10_000
    per_tag: int = 1000

    def refuse_growth(self, before: Mapping[str, StoredJob], after: Mapping[str, StoredJob], caller: Caller) -> None:
        """Compare the numbers of jobs before and after a change. Raises Conflict: it adds jobs beyond a limit."""
        tags = caller.principal.tags
        old, new = _count_by_tag(before.values(), tags), _count_by_tag(after.values(), tags)
        for tag, count in new.items():
            if count > max(self.per_tag, old[tag]):
                (text,) = format_tag_limits((tag,))
                what = f"stored jobs with the tag {text}"
                raise Conflict(_describe_excess(what, old[tag], count, self.per_tag, "stored_jobs.limit_per_tag"))
        if len(after) > max(self.total, len(before)):
            if tags:  # how many jobs others have does not exist for the caller
                raise Conflict(f"the limit of {self.total} stored jobs of all teams is reached (stored_jobs.limit)")
            raise Conflict(_describe_excess("stored jobs", len(before), len(after), self.total, "stored_jobs.limit"))


def _count_by_tag(jobs: Iterable[StoredJob], tags: Tags) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    if tags:
        for one in jobs:
            if one.located is not None:
                counts.update(tag for tag in tags if one.located.job.tags.get(tag[0]) == tag[1])
    return counts


def _describe_excess(what: str, before: int, after: int, limit: int, setting: str) -> str:
    hint = f"delete jobs, or raise the setting {setting}"
    return f"there are {before} {what}, the change would make {after}, and the limit is {limit}: {hint}"
