"""What a caller that is limited to tags learns of other jobs: of a name, that it is used, and nothing else. Pure.

Called by the other modules of this package.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from jobs.checks.binding.rules import Bindings
from jobs.problems import Problem
from scheduler.catalog.composition import JobSources, StoredJob
from scheduler.errors import Conflict, ReadOnlyJob
from scheduler.identity.principal import Caller, ChangeSource, describe_invisible_job
from scheduler.operations.stored_jobs.uses import OtherUses, find_literal_warnings, find_uses_of_others
from scheduler.queries.stored_jobs import is_declared_for


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


def problems_for(one: StoredJob, tried: JobSources, rules: WritingRules) -> Iterator[Problem]:
    """Yield what is wrong with a written job, as the caller may know it."""
    caller = rules.caller
    for problem in one.problems:
        yield _conceal(problem, tried, caller)
    for problem in one.unknown_names:
        yield _conceal(_without_suggestion(problem) if caller.principal.tags else problem, tried, caller)
    if one.located is None:
        return
    if caller.source is ChangeSource.API and not rules.allow_literal:
        yield from find_literal_warnings(one.located)
    if not caller.principal.tags:
        return
    if not caller.principal.sees(one.located.job.tags):
        yield Problem("tags", describe_invisible_job(caller.principal.tags))
    for index, dependency in enumerate(one.located.job.depends_on):
        if is_used_by_others(tried, dependency.job, caller):
            yield Problem(f"depends_on[{index}]", f"there is no job named {dependency.job!r}")
    for parent in one.located.job.alert_parent:
        if is_used_by_others(tried, parent, caller):
            yield Problem("alert_parent", f"the parent {parent} is neither a job nor a group")
    yield from find_uses_of_others(one.located, rules.others, rules.bindings, caller.principal)


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
