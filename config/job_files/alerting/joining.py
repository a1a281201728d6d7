"""Joins the sections `alerting` of all files. Called by config.job_files.joining."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from config.job_files.alerting.context import AlertingContext, LocatedEntry
from config.job_files.alerting.section import InvalidEntry
from jobs.alerting.rule import merge_severities
from jobs.definition.alerting_section import NO_ALERTING, AlertingDefinitions, DefinedEntry, define_alerting
from jobs.problems import Problem

if TYPE_CHECKING:
    from config.job_files.joining import LocatedJob


@dataclass(frozen=True, slots=True)
class JoinedAlerting:
    """`own`: what these files define; the context has it with the definitions in force, if the files are some alone."""

    own: AlertingDefinitions
    context: AlertingContext
    problems: tuple[Problem, ...]


def join_alerting(
    entries: Iterable[LocatedEntry],
    jobs: Mapping[str, LocatedJob],
    *,
    broken: Iterable[str] = (),
    invalid: Iterable[InvalidEntry] = (),
    is_complete: bool = True,
    in_force: AlertingDefinitions | None = None,
    folder: str = "",
) -> JoinedAlerting:
    """Return the entries of all files by part, and those that contradict each other as problems.

    `folder`: of the files, empty if they are in no folder.
    `in_force`: what all files define, if these are some alone, whose entries replace those of the same name.
    """
    by_part: dict[str, list[LocatedEntry]] = {}
    first: dict[tuple[str, str], LocatedEntry] = {}
    problems: list[Problem] = []
    others = NO_ALERTING if in_force is None else in_force
    for one in entries:
        part, name = one.entry.part, one.entry.name
        if name and (other := first.setdefault((part, name), one)) is not one:
            problems.append(one.problem(f"{name} is declared twice: first in {other.origin}", "remove one of them"))
        elif part != "severities" or _fits(one, by_part.get(part, []), others, problems):
            by_part.setdefault(part, []).append(one)
    parts = {
        part: tuple(DefinedEntry(one.entry.name, one.entry.value, one.origin, folder) for one in located)
        for part, located in by_part.items()
    }
    own = define_alerting(parts)
    whole = own if in_force is None else in_force.overridden_by(own)
    context = AlertingContext(
        by_part, jobs, whole, frozenset(broken), frozenset(invalid), is_complete, in_force is not None
    )
    return JoinedAlerting(own, context, tuple(problems))


def _fits(
    one: LocatedEntry, others: Sequence[LocatedEntry], in_force: AlertingDefinitions, problems: list[Problem]
) -> bool:
    """Return whether a severity does not contradict the others; add a problem if it does."""
    own = {each.entry.name: each.entry.value for each in (*others, one)}
    merged = {**{each.name: each.value for each in in_force.entries_of("severities")}, **own}
    try:
        merge_severities(merged.items())
    except ValueError as error:
        problems.append(one.problem(str(error)))
        return False
    return True
