"""The jobs that may join a group: the section `groups` of job files. Read and applied by config.job_groups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from jobs.model_base import FrozenModel


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
