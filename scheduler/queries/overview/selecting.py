"""Selects, sorts and groups the summaries of jobs. Pure.

Called by scheduler.api.dashboard.overview.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from scheduler.features.jobs.selection import TagFilter
from scheduler.queries.overview.summaries import OverviewJob, Standing

RECENT: Final = timedelta(hours=1)
"""How long ago a state has changed that the filter `changed` finds."""
OWNER_TAG: Final = "owner"


class SortOrder(StrEnum):
    STATE = "state"
    NAME = "name"
    FAILURE = "failure"
    """The latest outage first."""
    LATENCY = "latency"
    """The slowest first."""


@dataclass(frozen=True, slots=True)
class OverviewCriteria:
    """`text`: a part of the name or the description. `owner`: the value of the tag OWNER_TAG. Empty: all."""

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
    text = criteria.text.casefold()
    standing = None if any_standing else criteria.standing
    since = now - RECENT if criteria.has_changed else None
    return [
        each
        for each in summaries
        if (standing is None or each.standing is standing)
        and (since is None or (each.since is not None and each.since >= since))
        and _matches_definition(each, criteria, text)
    ]


def sort_summaries(
    summaries: Iterable[OverviewJob], order: SortOrder, latencies: Mapping[str, float] | None = None
) -> list[OverviewJob]:
    """Sort by the order; those that are equal by state, then by name. `latencies`: milliseconds by job."""
    found = sorted(summaries, key=lambda each: each.name)
    if order is SortOrder.NAME:
        return found
    found.sort(key=lambda each: each.standing.rank)
    if order is SortOrder.FAILURE:
        found.sort(key=lambda each: each.last_outage.timestamp() if each.last_outage else 0.0, reverse=True)
    elif order is SortOrder.LATENCY and latencies is not None:
        found.sort(key=lambda each: latencies.get(each.name, -1.0), reverse=True)
    return found


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


def _matches_definition(summary: OverviewJob, criteria: OverviewCriteria, text: str) -> bool:
    job = summary.entry.job
    return (
        (not text or text in job.name.casefold() or text in job.description.casefold())
        and (not criteria.kind or job.check.kind == criteria.kind)
        and (not criteria.owner or job.tags.get(OWNER_TAG) == criteria.owner)
        and all(tag.matches(job) for tag in criteria.tags)
    )


def _place_of_group(group: JobGroup) -> tuple[int, bool, str]:
    return min(each.standing.rank for each in group.summaries), not group.value, group.value
