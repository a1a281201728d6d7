"""Selects jobs by name, kind, tag, state and latest outcome. Pure.

Called by scheduler.features.jobs.queries for lists, and by scheduler.api and scheduler.cli to parse filters.

A filter with several values matches a job that has one of them; a job must have all given tags. Filters are combined
with AND.

"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase, translate
from typing import TYPE_CHECKING

from jobs.problems import describe_wrong_choice, make_printable
from jobs.problems.findings import suggest_name, suggest_sorted_name
from jobs.runs import Outcome

if TYPE_CHECKING:
    from jobs.definition import JobDefinition
    from scheduler.catalog.catalog import JobSnapshot
    from scheduler.stores.runs.repository import RunRecord


def check_kinds() -> tuple[str, ...]:
    """Return the values of the filter `kind`. Imports the models of targets, which reads of history do without."""
    from jobs.targets import TARGETS_BY_KIND

    return tuple(TARGETS_BY_KIND)


NO_OUTCOME = "none"
"""Value of the outcome filter for a job without a finished run."""
LATEST_OUTCOMES: tuple[str, ...] = (*Outcome, NO_OUTCOME)

NAME_FILTER = r"^[A-Za-z0-9._*?-]{1,100}$"
TAG_FILTER = r"^[^=]"
"""Patterns of these filters, for the API's schema."""

_PATTERN = re.compile(NAME_FILTER)


class JobState(StrEnum):
    """Whether a job runs on its schedule. A disabled job that is also paused counts as disabled."""

    ENABLED = "enabled"
    PAUSED = "paused"
    DISABLED = "disabled"

    @staticmethod
    def from_job(job: JobDefinition, *, is_paused: bool) -> JobState:
        if not job.enabled:
            return JobState.DISABLED
        return JobState.PAUSED if is_paused else JobState.ENABLED


JOB_STATES: tuple[str, ...] = tuple(JobState)


class InvalidFilter(ValueError):
    """A value of a filter is invalid. `filter`: its name, such as `kind`."""

    def __init__(self, filter: str, message: str, hint: str) -> None:
        super().__init__(f"{message}; {hint}")
        self.filter = filter
        self.message = message
        self.hint = hint


def match_names(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Return whether a name matches one of the patterns, as a function. `*` is any text, `?` one character."""
    compiled = re.compile("|".join(map(translate, patterns)))
    return lambda name: compiled.match(name) is not None


@dataclass(frozen=True, slots=True)
class TagFilter:
    """A tag that a job must have; None as `value` matches any value."""

    key: str
    value: str | None = None

    def matches(self, job: JobDefinition) -> bool:
        found = job.tags.get(self.key)
        return found is not None and self.value in (None, found)

    def __str__(self) -> str:
        return self.key if self.value is None else f"{self.key}={self.value}"


@dataclass(frozen=True, slots=True)
class JobSelection:
    """Criteria for jobs. Names can contain the wildcards `*` (any text) and `?` (one character)."""

    names: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    tags: tuple[TagFilter, ...] = ()
    states: tuple[JobState, ...] = ()
    outcomes: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether it matches every job."""
        return not (self.names or self.kinds or self.tags or self.states or self.outcomes)

    def matches_definition(self, job: JobDefinition) -> bool:
        """Match by name, kind and tags."""
        return (
            (not self.kinds or job.check.kind in self.kinds)
            and all(tag.matches(job) for tag in self.tags)
            and (not self.names or any(fnmatchcase(job.name, pattern) for pattern in self.names))
        )

    def matches_state(self, job: JobDefinition, *, is_paused: bool) -> bool:
        return not self.states or JobState.from_job(job, is_paused=is_paused) in self.states

    def matches_latest(self, latest: RunRecord | None) -> bool:
        """Match by the job's newest finished run, None without one."""
        if not self.outcomes:
            return True
        run = latest.run if latest is not None else None
        return (NO_OUTCOME if run is None else run.outcome) in self.outcomes

    def single_filters(self) -> Sequence[tuple[str, JobSelection]]:
        """Return each filter with its text such as `kind dns`; each tag is one filter."""
        filters = [(f"name {_join_or(self.names)}", JobSelection(names=self.names))] if self.names else []
        if self.kinds:
            filters.append((f"kind {_join_or(self.kinds)}", JobSelection(kinds=self.kinds)))
        filters += [(f"tag {tag}", JobSelection(tags=(tag,))) for tag in self.tags]
        if self.states:
            filters.append((f"state {_join_or(self.states)}", JobSelection(states=self.states)))
        if self.outcomes:
            filters.append((f"outcome {_join_or(self.outcomes)}", JobSelection(outcomes=self.outcomes)))
        return filters

    def __str__(self) -> str:
        """`kind dns and tag team=payments`; empty if it matches every job."""
        return " and ".join(text for text, _ in self.single_filters())


EVERY_JOB = JobSelection()


def match_jobs(jobs: JobSnapshot, selection: JobSelection) -> Callable[[str], bool] | None:
    """Return whether runs of a job are listed, by its name; None: those of every job. A job that was deleted has runs,
    and no tags.
    """
    by_name = match_names(selection.names) if selection.names else None
    if not selection.tags:
        return by_name

    def matches(name: str) -> bool:
        entry = jobs.find_job(name)
        return entry is not None and selection.matches_definition(entry.job)

    return matches


def parse_selection(
    *,
    names: Iterable[str] = (),
    kinds: Iterable[str] = (),
    tags: Iterable[str] = (),
    states: Iterable[str] = (),
    outcomes: Iterable[str] = (),
) -> JobSelection:
    """Parse filters. A tag is `key` or `key=value`.

    Raises:
        InvalidFilter: a pattern that no job name can match, a tag without a key, an unknown kind, state or outcome.
    """
    return JobSelection(
        names=tuple(map(_check_name_pattern, names)),
        kinds=_check_choices("kind", kinds, check_kinds()),
        tags=tuple(map(_parse_tag, tags)),
        states=tuple(map(JobState, _check_choices("state", states, JOB_STATES))),
        outcomes=_check_choices("outcome", outcomes, LATEST_OUTCOMES),
    )


def suggest_filter(part: JobSelection, jobs: Iterable[JobDefinition]) -> str | None:
    """Suggest a tag or name that exists for a filter that matches no job. `part`: one of `single_filters()`."""
    defined = tuple(jobs)
    if part.tags:
        (tag,) = part.tags
        tags = {(key, value) for job in defined for key, value in job.tags.items()}
        if tag.value is None or tag.key not in {key for key, _ in tags}:
            return suggest_name(tag.key, sorted({key for key, _ in tags}))
        value = suggest_name(tag.value, sorted(value for key, value in tags if key == tag.key))
        return None if value is None else str(TagFilter(tag.key, value))
    if len(part.names) == 1:
        return suggest_sorted_name(part.names[0], sorted(job.name for job in defined))
    return None


def _check_choices(filter: str, values: Iterable[str], allowed: tuple[str, ...]) -> tuple[str, ...]:
    given = tuple(values)
    for value in given:
        if value not in allowed:
            message, hint = describe_wrong_choice(value, allowed)
            raise InvalidFilter(filter, message, hint)
    return given


def _check_name_pattern(pattern: str) -> str:
    if _PATTERN.fullmatch(pattern) is None:
        message = f"{make_printable(repr(pattern), 60)} cannot match a job name"
        raise InvalidFilter(
            "name", message, "use letters, digits, dot, - and _, with * for any text and ? for one character"
        )
    return pattern


def _parse_tag(text: str) -> TagFilter:
    key, separator, value = text.partition("=")
    if not key:
        raise InvalidFilter(
            "tag", f"{make_printable(repr(text), 60)} has no tag name", "use a form such as team or team=payments"
        )
    return TagFilter(key, value if separator else None)


def _join_or(values: Iterable[str]) -> str:
    return " or ".join(values)
