"""A line of the overview for each job: how it is, why, since when; selected, ordered and grouped. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from jobs.definition import JobDefinition
from jobs.definition.dependencies import describe_wait
from jobs.runs.states import JobStatus, StateChange
from scheduler.catalog.catalog import CatalogJob
from scheduler.features.incidents.queries import IncidentView
from scheduler.features.jobs.selection import TagFilter, check_kinds
from scheduler.stores.gates import Pause

MIN_UNSTABLE_CHANGES: Final = 4
"""Changes of the state in a day: two outages."""
RECENT: Final = timedelta(hours=1)
"""How long ago a state has changed that the filter `changed` finds."""
OWNER_TAG: Final = "owner"


class Standing(StrEnum):
    """The state of a job in the order in which it needs a person, as filters name it."""

    DOWN = "down"
    SILENT = "silent"
    UNSTABLE = "unstable"
    """Degraded, up with an open incident, or up after several changes in a day."""
    UNKNOWN = "unknown"
    """Its newest run could not tell its state."""
    UP = "up"
    WAITING = "waiting"
    """Its newest run was skipped because a job that it depends on has not run as required."""
    NO_RUN = "no_run"
    """No run has finished since it was added, enabled or resumed."""
    PAUSED = "paused"
    DISABLED = "disabled"

    @property
    def is_broken(self) -> bool:
        return self in (Standing.DOWN, Standing.SILENT)

    @property
    def rank(self) -> int:
        """The place in the list: those of the same rank are sorted by name."""
        return _RANKS.get(self, len(_RANKS))


_RANKS: Final = {Standing.DOWN: 0, Standing.SILENT: 1, Standing.UNSTABLE: 2, Standing.UNKNOWN: 3}
_BY_STATUS: Final = {
    JobStatus.DOWN: Standing.DOWN,
    JobStatus.SILENT: Standing.SILENT,
    JobStatus.DEGRADED: Standing.UNSTABLE,
    JobStatus.UP: Standing.UP,
    JobStatus.WAITING: Standing.WAITING,
}


@dataclass(frozen=True, slots=True)
class OverviewJob:
    """`since`: when this state began, None if that is unknown. `cause`: a sentence, empty for a job that is up.

    `wait`: of a job that waits, such as `waiting for database`; `last_known`: of one that is unknown, its state before.
    Both are empty otherwise.

    `last_outage`: when it went down, or came up again; None if the latest changes have no outage. `changes`: of the
    state within a day. `incident`: an open one.
    """

    entry: CatalogJob
    standing: Standing
    is_degraded: bool
    since: datetime | None
    cause: str
    last_outage: datetime | None
    pause: Pause | None
    incident: IncidentView | None
    changes: int
    wait: str = ""
    last_known: str = ""

    @property
    def name(self) -> str:
        return self.entry.job.name


def summarize(
    entry: CatalogJob, state: StateChange | None, pause: Pause | None, incident: IncidentView | None, changes: int
) -> OverviewJob:
    """Return the summary of a job. The definition and the pause in force count more than the recorded state."""
    standing = _find_standing(entry, state, pause, incident, changes)
    is_degraded = state is not None and state.state is JobStatus.DEGRADED and standing is Standing.UNSTABLE
    known = state if state is not None and _is_of(state, standing) else None
    is_unknown = standing is Standing.UNKNOWN
    has_cause = standing.is_broken or is_degraded or is_unknown
    cause = _describe_cause(known) if known is not None and has_cause else ""
    since = pause.since if standing is Standing.PAUSED and pause is not None else known.at if known else None
    is_waiting = known is not None and standing is Standing.WAITING
    wait = describe_wait(entry.job.depends_on, known.cause.message) if is_waiting and known is not None else ""
    last_known = str(known.previous or "") if is_unknown and known is not None else ""
    outage = _find_outage(state)
    return OverviewJob(entry, standing, is_degraded, since, cause, outage, pause, incident, changes, wait, last_known)


def count_standings(summaries: Sequence[OverviewJob]) -> Mapping[Standing, int]:
    """Count the jobs of each standing, in the order of Standing; without those that no job has."""
    counts = Counter(summary.standing for summary in summaries)
    return {standing: counts[standing] for standing in Standing if counts[standing]}


def _find_standing(
    entry: CatalogJob, state: StateChange | None, pause: Pause | None, incident: IncidentView | None, changes: int
) -> Standing:
    if not entry.job.enabled:
        return Standing.DISABLED
    if pause is not None:
        return Standing.PAUSED
    found = Standing.NO_RUN if state is None else _BY_STATUS.get(state.state, Standing.NO_RUN)
    if state is not None and state.is_unknown:
        found = Standing.UNKNOWN
    is_shaky = incident is not None or changes >= MIN_UNSTABLE_CHANGES
    return Standing.UNSTABLE if found is Standing.UP and is_shaky else found


def _is_of(state: StateChange, standing: Standing) -> bool:
    """Whether a recorded state is the one that is shown."""
    if standing is Standing.UNSTABLE:
        return True
    if standing is Standing.NO_RUN:
        return state.state is JobStatus.UNKNOWN
    return standing.value == state.state.value


def _describe_cause(state: StateChange) -> str:
    return state.cause.message or state.cause.code.replace("_", " ")


def _find_outage(state: StateChange | None) -> datetime | None:
    if state is None:
        return None
    outages = (JobStatus.DOWN, JobStatus.SILENT)
    return state.at if state.state in outages or state.previous in outages else None


class SortOrder(StrEnum):
    STATE = "state"
    NAME = "name"
    FAILURE = "failure"
    """The latest outage first."""
    LATENCY = "latency"
    """The slowest first."""
    SLOWER = "slower"
    """What got slower most first."""


@dataclass(frozen=True, slots=True)
class OverviewCriteria:
    """`text`: words, each a part of the name, the description, the target or a tag. `owner`: the value of the tag
    OWNER_TAG. Empty: all.
    """

    text: str = ""
    standing: Standing | None = None
    tags: tuple[TagFilter, ...] = ()
    kind: str = ""
    owner: str = ""
    has_changed: bool = False
    order: SortOrder = SortOrder.STATE


@dataclass(frozen=True, slots=True)
class JobGroup:
    """The jobs with a value of a tag, or without the tag: `value` is empty then."""

    value: str
    summaries: Sequence[OverviewJob]


def select_summaries(
    summaries: Iterable[OverviewJob], criteria: OverviewCriteria, now: datetime, *, any_standing: bool = False
) -> list[OverviewJob]:
    """Return the summaries that match, in the order of the summaries. `any_standing`: ignore the filter by state."""
    words = criteria.text.casefold().split()
    standing = None if any_standing else criteria.standing
    since = now - RECENT if criteria.has_changed else None
    return [
        each
        for each in summaries
        if (standing is None or each.standing is standing)
        and (since is None or (each.since is not None and each.since >= since))
        and _matches_definition(each, criteria, words)
    ]


def sort_summaries(
    summaries: Iterable[OverviewJob], order: SortOrder, latencies: Mapping[str, float] | None = None
) -> list[OverviewJob]:
    """Sort by the order; those that are equal by state, then by name.

    `latencies`: milliseconds by job; in the order `slower`, by which share a job got slower.
    """
    ordered = sorted(summaries, key=lambda each: each.name)
    if order is SortOrder.NAME:
        return ordered
    ordered.sort(key=lambda each: each.standing.rank)
    if order is SortOrder.FAILURE:
        ordered.sort(key=lambda each: each.last_outage.timestamp() if each.last_outage else 0.0, reverse=True)
    elif order in (SortOrder.LATENCY, SortOrder.SLOWER) and latencies is not None:
        ordered.sort(key=lambda each: latencies.get(each.name, -1.0), reverse=True)
    return ordered


def group_summaries(summaries: Iterable[OverviewJob], tag: str) -> list[JobGroup]:
    """Return the groups of a tag: that with the worst state first, then by value; jobs without the tag last."""
    found: dict[str, list[OverviewJob]] = {}
    for each in summaries:
        found.setdefault(each.entry.job.tags.get(tag, ""), []).append(each)
    groups = [JobGroup(value, members) for value, members in found.items()]
    return sorted(groups, key=_place_of_group)


def list_tags(summaries: Iterable[OverviewJob]) -> dict[str, set[str]]:
    """Return the values of each tag that a job has."""
    found: dict[str, set[str]] = {}
    for each in summaries:
        for key, value in each.entry.job.tags.items():
            found.setdefault(key, set()).add(value)
    return found


def _matches_definition(summary: OverviewJob, criteria: OverviewCriteria, words: Sequence[str]) -> bool:
    job = summary.entry.job
    return (
        (not criteria.kind or job.check.kind == criteria.kind)
        and (not criteria.owner or job.tags.get(OWNER_TAG) == criteria.owner)
        and all(tag.matches(job) for tag in criteria.tags)
        and (not words or _contains_words(job, words))
    )


def _contains_words(job: JobDefinition, words: Sequence[str]) -> bool:
    tags = (f"{key}={value}" for key, value in job.tags.items())
    text = "\n".join((job.name, job.description, job.check.label, *tags)).casefold()
    return all(word in text for word in words)


def parse_search(text: str) -> OverviewCriteria:
    """Return the filters that a person writes into one box: `payments state:down team=checkout kind:dns`.

    Any other word stays in the text.
    """
    words: list[str] = []
    found = OverviewCriteria()
    for word in text.split():
        name, separator, value = word.partition(":")
        if separator and name == "state" and value in tuple(Standing):
            found = replace(found, standing=Standing(value))
        elif separator and name == "kind" and value in check_kinds():
            found = replace(found, kind=value)
        elif separator and name == "owner" and value:
            found = replace(found, owner=value)
        elif re.fullmatch(r"[A-Za-z0-9][^=:/?]*=[^=]+", word):
            key, _, value = word.partition("=")
            found = replace(found, tags=(*found.tags, TagFilter(key, value)))
        else:
            words.append(word)
    return replace(found, text=" ".join(words))


def _place_of_group(group: JobGroup) -> tuple[int, bool, str]:
    return min(each.standing.rank for each in group.summaries), not group.value, group.value
