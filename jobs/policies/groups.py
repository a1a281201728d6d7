"""Concurrency groups: jobs that share a limit of parallel runs, and which jobs may join one. Data only.

scheduler.gates enforces the limit. Two jobs that set different limits for one group are found here and rejected by
config.job_files.reader. The section `groups` of job files lists members.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from jobs.model_base import Duration, FrozenModel

GROUP_NAME_PATTERN = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")

MAX_CONCURRENCY_GROUP = 1000
"""Maximum parallel runs of a group: one page of the store holds all its slots."""

MAX_GROUP_WAIT = 3600.0
"""Seconds."""


class ConcurrencyGroup(FrozenModel):
    """At most `limit` runs of all jobs of the group are in flight; another run waits for up to `wait` seconds."""

    name: str = Field(
        pattern=GROUP_NAME_PATTERN.pattern,
        description="letters, digits, dot, - and _, at most 100, the first a letter or a digit",
    )
    limit: int = Field(default=1, ge=1, le=MAX_CONCURRENCY_GROUP)
    wait: Annotated[Duration, Field(le=MAX_GROUP_WAIT)] = 30.0


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
    conflicts = []
    for job, group, source in groups:
        if group is None:
            continue
        name, limit = first.setdefault((group.name, source), (job, group.limit))
        if limit != group.limit:
            conflicts.append(GroupConflict(job, name, group.name, group.limit, limit))
    return conflicts


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


_NAMES = "letters, digits, dot, - and _, and * for any of these"
JobPattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9._*-]{1,100}$", description=_NAMES)]
FilePattern = Annotated[str, Field(pattern=r"^[^/\\\[\]?]{1,200}$", description="a file's name; * stands for any part")]


class GroupMembers(FrozenModel):
    """Which jobs may join a group, of concurrency or of a circuit: those that meet every given condition.

    `jobs`: names or patterns such as `checkout-*`, of which one must match. `tags`: the job has all of these. `files`:
    names or patterns of the job's file, of which one must match.
    """

    jobs: Annotated[
        tuple[JobPattern, ...],
        BeforeValidator(_as_list, json_schema_input_type=JobPattern | tuple[JobPattern, ...]),
        Field(max_length=50),
    ] = ()
    tags: Mapping[str, str] = Field(default_factory=dict)
    files: Annotated[
        tuple[FilePattern, ...],
        BeforeValidator(_as_list, json_schema_input_type=FilePattern | tuple[FilePattern, ...]),
        Field(max_length=20),
    ] = ()

    @model_validator(mode="after")
    def _says_who(self) -> Self:
        if not (self.jobs or self.tags or self.files):
            raise ValueError("no condition given: set jobs (names or patterns), tags or files")
        return self

    def admits_job(self, job: str, tags: Mapping[str, str], file: str) -> bool:
        """Return whether a job with this name and these tags, in this file, may join."""
        return (
            (not self.jobs or any(fnmatchcase(job, pattern) for pattern in self.jobs))
            and all(tags.get(name) == value for name, value in self.tags.items())
            and (not self.files or any(fnmatchcase(file, pattern) for pattern in self.files))
        )

    def __str__(self) -> str:
        """Format for example as `jobs checkout-*, tags team: checkout`."""
        said = []
        if self.jobs:
            said.append(f"jobs {_some(self.jobs)}")
        if self.tags:
            said.append(f"tags {_some([f'{name}: {value}' for name, value in self.tags.items()])}")
        if self.files:
            said.append(f"files {_some(self.files)}")
        return ", ".join(said)


def _some(names: Sequence[str]) -> str:
    return " ".join(names[:3]) + (" ..." if len(names) > 3 else "")
