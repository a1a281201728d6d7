"""Concurrency groups: jobs that share a limit of parallel runs. Data only; scheduler.gates enforces the limit.

Two jobs that set different limits for one group are found here and rejected by config.job_files.reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from jobs.model_base import Duration, FrozenModel

GROUP_NAME_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")

LARGEST_CONCURRENCY_GROUP = 1000
"""Maximum parallel runs of a group: one page of the store holds all its slots."""

LONGEST_GROUP_WAIT = 3600.0
"""Seconds."""


class ConcurrencyGroup(FrozenModel):
    """At most `limit` runs of all jobs of the group are in flight; another run waits for up to `wait` seconds."""

    name: str = Field(
        pattern=GROUP_NAME_PATTERN.pattern,
        description="letters, digits, dot, - and _, at most 100, the first a letter or a digit",
    )
    limit: int = Field(default=1, ge=1, le=LARGEST_CONCURRENCY_GROUP)
    wait: Annotated[Duration, Field(le=LONGEST_GROUP_WAIT)] = 30.0


_GroupName = Annotated[str, Field(pattern=GROUP_NAME_PATTERN.pattern)]


def _by_name(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


ConcurrencyGroupField = Annotated[
    ConcurrencyGroup | None, BeforeValidator(_by_name, json_schema_input_type=_GroupName | ConcurrencyGroup | None)
]
"""A name alone means a group with a limit of 1."""


@dataclass(frozen=True, slots=True)
class GroupConflict:
    """`job` sets another limit for its group than the job `first`."""

    job: str
    first: str
    group: str
    limit: int
    first_limit: int


def find_group_conflicts(groups: Iterable[tuple[str, ConcurrencyGroup | None, str]]) -> list[GroupConflict]:
    """Return each job whose limit differs from that of the first job of its group.

    `groups`: with the name of the job, and the file to which its group is private, or "".
    """
    first: dict[tuple[str, str], tuple[str, int]] = {}
    found = []
    for job, group, source in groups:
        if group is None:
            continue
        name, limit = first.setdefault((group.name, source), (job, group.limit))
        if limit != group.limit:
            found.append(GroupConflict(job, name, group.name, group.limit, limit))
    return found
