"""Response models of declared jobs, their versions and differences."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from jobs.definition import NAME_PATTERN
from jobs.problems import Problem
from scheduler.api.model_base import RequestModel, ResponseModel, example
from scheduler.queries.stored_jobs import DeclaredJob, FieldChange
from scheduler.stores.stored_jobs.tree import JobVersion


class DuplicateRequest(RequestModel):
    """`name`: of the copy. `patch`: a JSON merge patch (RFC 7396) of its definition; null removes a key."""

    model_config = example({"name": "reports-api-eu", "patch": {"check": {"url": "https://eu.reports.example.com/"}}})

    name: Annotated[str, Field(pattern=NAME_PATTERN)]
    patch: dict[str, Any] = {}


class DefinitionProblem(ResponseModel):
    """`path`: the key of the definition, such as `check.url`; in a set `jobs.checkout-api.check.url`."""

    path: str
    message: str
    hint: str | None = None

    @classmethod
    def from_problem(cls, problem: Problem) -> DefinitionProblem:
        return cls(path=problem.key, message=problem.message, hint=problem.hint or None)


class DeclaredJobModel(ResponseModel):
    """A job as it was declared, without its state.

    `definition`: as the user wrote it; of a job file, with the file's defaults. `version` null: defined in a job file,
    which `source` names. `owner`: the set that it belongs to, empty for a job that was made by hand. `problems`: the
    reasons if `in_force` is false; else channels, severities and parents of its alerts that do not exist. `etag`: for
    If-Match.
    """

    name: str
    definition: dict[str, Any]
    version: int | None
    owner: str
    in_force: bool
    problems: list[DefinitionProblem]
    source: str
    etag: str
    url: str

    @classmethod
    def from_declared(cls, job: DeclaredJob) -> DeclaredJobModel:
        return cls(
            name=job.name,
            definition=dict(job.definition),
            version=job.version,
            owner=job.owner,
            in_force=job.is_in_force,
            problems=[DefinitionProblem.from_problem(problem) for problem in job.problems],
            source=job.origin,
            etag=job.etag,
            url=f"/api/jobs/{job.name}",
        )


class DeclaredJobList(ResponseModel):
    """By name. `continuation` fetches the next page; null on the last one."""

    jobs: list[DeclaredJobModel]
    continuation: str | None


class VersionModel(ResponseModel):
    """A version of a definition. `definition` null: the job was deleted. `by`: the principal that made it."""

    number: int
    at: datetime
    by: str
    owner: str
    comment: str
    definition: dict[str, Any] | None
    url: str

    @classmethod
    def from_version(cls, version: JobVersion) -> VersionModel:
        return cls(
            number=version.number,
            at=version.at,
            by=version.by,
            owner=version.owner,
            comment=version.comment,
            definition=None if version.definition is None else dict(version.definition),
            url=f"/api/jobs/{version.name}/versions/{version.number}",
        )


class VersionList(ResponseModel):
    """The latest first. `retained`: the number of versions that the store retains of a job at most."""

    versions: list[VersionModel]
    retained: int


class FieldChangeModel(ResponseModel):
    """A field that differs. `path`: such as `check.url`; null: not set."""

    path: str
    before: Any
    after: Any

    @classmethod
    def from_change(cls, change: FieldChange) -> FieldChangeModel:
        return cls(path=change.path, before=change.before, after=change.after)


class VersionDiff(ResponseModel):
    """What changed from the version `against` to the version `number`, in the full form."""

    number: int
    against: int
    fields: list[FieldChangeModel]
