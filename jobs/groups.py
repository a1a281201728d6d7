"""Concurrency groups: jobs of which only so many run at a time, all together. Data only; scheduler.gates acts on it.

Two jobs that give one group different limits are found here, and refused by config.job_files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from jobs.model import Duration, Frozen

LARGEST_GROUP = 1000
"""Runs at a time. The slots of a group are looked through in one page of the store."""


LONGEST_WAIT = 3600.0
"""Seconds."""


class ConcurrencyGroup(Frozen):
    """At most `limit` runs of all jobs of the group go on at a time; another one waits for up to `wait` seconds."""

    name: str = Field(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$",
        description="letters, digits, dot, - and _, at most 100, the first a letter or a digit",
    )
    limit: int = Field(default=1, ge=1, le=LARGEST_GROUP)
    wait: Annotated[Duration, Field(le=LONGEST_WAIT)] = 30.0


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


Group = Annotated[ConcurrencyGroup | None, BeforeValidator(_by_name)]
"""A name alone is a group whose runs take their turns one at a time."""


@dataclass(frozen=True, slots=True)
class Disagreement:
    """`job` gives its group another limit than `first` does."""

    job: str
    first: str
    group: str
    limit: int
    first_limit: int


def disagreements(groups: Iterable[tuple[str, ConcurrencyGroup | None]]) -> list[Disagreement]:
    """Of jobs with their groups: each one that disagrees with the first job of its group."""
    first: dict[str, tuple[str, int]] = {}
    found = []
    for job, group in groups:
        if group is None:
            continue
        name, limit = first.setdefault(group.name, (job, group.limit))
        if limit != group.limit:
            found.append(Disagreement(job, name, group.name, group.limit, limit))
    return found
