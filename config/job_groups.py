"""The section `groups` of job files: which jobs may share a concurrency group or a circuit. Called by config.job_files
to read it, and by config.job_joining to apply what all files declare together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from jobs.groups import GROUP_NAME, GroupMembers
from jobs.problems import MOST_LISTED, Finding, Problem, dotted, findings_of

if TYPE_CHECKING:
    from config.job_joining import Found

SECTION = "groups"
MOST_GROUPS = 1000
"""In a file."""


@dataclass(frozen=True, slots=True)
class DeclaredGroup:
    """A group, who may join it, and where that stands."""

    name: str
    members: GroupMembers
    file: str
    line: int

    @property
    def origin(self) -> str:
        return f"{self.file}:{self.line}"


def groups_of(value: Any) -> tuple[Mapping[str, GroupMembers], tuple[Finding, ...]]:
    """Read the section of one file. Returns what it declares, and what is wrong with it."""
    if value is None:
        return {}, ()
    if not isinstance(value, dict):
        hint = "write groups: {checkout: {jobs: [checkout-*]}}"
        return {}, (Finding((SECTION,), "is not a mapping of groups by name", hint),)
    if len(value) > MOST_GROUPS:
        message = f"declares {len(value)} groups; at most {MOST_GROUPS} may stand in a file"
        return {}, (Finding((SECTION,), message, "split the file"),)
    groups: dict[str, GroupMembers] = {}
    findings: list[Finding] = []
    for name, written in value.items():
        if not GROUP_NAME.fullmatch(name):
            findings.append(Finding((SECTION, name), "as the name of a group has a character that it cannot have"))
            continue
        try:
            groups[name] = GroupMembers.model_validate({} if written is None else written)
        except ValidationError as error:
            found = findings_of(error.errors(include_url=False), GroupMembers)
            findings += [Finding((SECTION, name, *one.path), one.message, one.hint) for one in found]
    if len(findings) > MOST_LISTED:
        more = f"has {len(findings) - MOST_LISTED} more problems, which are not listed"
        findings[MOST_LISTED:] = [Finding((SECTION,), more)]
    return groups, tuple(findings)


@dataclass(frozen=True, slots=True)
class Strangers:
    """`problems`: what is wrong. `refused`: names of jobs that may not join their group."""

    problems: tuple[Problem, ...] = ()
    warnings: tuple[Problem, ...] = ()
    refused: frozenset[str] = frozenset()


def strangers_of(jobs: Iterable[Found], declared: Iterable[DeclaredGroup]) -> Strangers:
    """Find the jobs that join a group whose declaration does not admit them, and shared groups that none declares."""
    groups: dict[str, DeclaredGroup] = {}
    problems: list[Problem] = []
    for group in declared:
        first = groups.setdefault(group.name, group)
        if first is not group:
            message = f"the group {group.name} is declared twice: first in {first.origin}"
            where = dotted(SECTION, group.name)
            problems.append(Problem(where, message, "declare it in one file alone", group.file, group.line))
    refused: set[str] = set()
    undeclared: dict[tuple[str, str], Found] = {}
    warnings: dict[tuple[str, str], Problem] = {}
    for one in jobs:
        for key, name in _joined_by(one):
            group_or_none = groups.get(name)
            if group_or_none is None:
                first_job = undeclared.setdefault((key, name), one)
                if first_job.file != one.file and (key, name) not in warnings:
                    warnings[key, name] = _undeclared(first_job, one, key, name)
            elif not group_or_none.members.admits(one.job.name, one.job.tags, PurePath(one.file).name):
                refused.add(one.job.name)
                problems.append(_refused(one, key, group_or_none))
    return Strangers(tuple(problems), tuple(warnings.values()), frozenset(refused))


def _joined_by(one: Found) -> Iterator[tuple[str, str]]:
    """The key by which the job joins a group, and the group's name."""
    if one.job.concurrency_group is not None:
        yield "concurrency_group", one.job.concurrency_group.name
    if one.job.circuit is not None and one.job.circuit.group is not None:
        yield "circuit", one.job.circuit.group


def _refused(one: Found, key: str, group: DeclaredGroup) -> Problem:
    message = f"{one.job.name} may not join the group {group.name}: {group.origin} declares it for {group.members}"
    return one.problem(key, message, f"name another group, or let its owner add {one.job.name} there")


def _undeclared(first: Found, one: Found, key: str, name: str) -> Problem:
    message = (
        f"jobs of several files share the group {name} (first {first.job.name} in {first.origin}), and no file says "
        "who may join it: any job can make theirs wait"
    )
    hint = f"declare it beside jobs: groups: {{{name}: {{jobs: [{first.job.name}, {one.job.name}]}}}}"
    return one.problem(key, message, hint)
