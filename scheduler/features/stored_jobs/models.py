"""Declared jobs, their versions and differences, and sets and their plans, as the API and the commands show them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from jobs.definition import NAME_PATTERN
from scheduler.model_base import ListModel, RequestModel, ResponseModel, example


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


class DeclaredJobList(ListModel[DeclaredJobModel]):
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


class VersionList(ListModel[VersionModel]):
    """The latest first. `retained`: the number of versions that the store retains of a job at most."""

    versions: list[VersionModel]
    retained: int


class FieldChangeModel(ResponseModel):
    """A field that differs. `path`: such as `check.url`; null: not set."""

    path: str
    before: Any
    after: Any


class VersionDiff(ResponseModel):
    """What changed from the version `against` to the version `number`, in the full form."""

    number: int
    against: int
    fields: list[FieldChangeModel]


class SetModel(ResponseModel):
    """A set of stored jobs. `jobs`: their number. `changed_at`: when one of them was last written."""

    owner: str
    jobs: int
    changed_at: datetime


class SetList(ListModel[SetModel]):
    """By owner. `generation`: counts the changes of all stored jobs. `continuation`: null on the last page."""

    sets: list[SetModel]
    generation: int
    continuation: str | None


class JobDifferenceModel(ResponseModel):
    """A job that a set adds, changes or removes, with its next ten due instants before and after."""

    name: str
    fields: list[FieldChangeModel]
    next_before: list[datetime]
    next_after: list[datetime]


class ReasonModel(ResponseModel):
    """`name`: of a job or a secret. `reason`: why it is a conflict, denied or unavailable."""

    name: str
    reason: str


class SetPlanModel(ResponseModel):
    """The changes of a set. `plan_id` confirms them in apply; `applied`: whether they were made.

    `unchanged`: the number of jobs that stay as they are declared. `conflicts`: jobs of files, of another set, or made
    by hand; a set with one cannot be applied. `denied_targets` and `unavailable_secrets` do not prevent it.
    """

    plan_id: str
    owner: str
    applied: bool
    added: list[JobDifferenceModel]
    changed: list[JobDifferenceModel]
    removed: list[JobDifferenceModel]
    unchanged: int
    conflicts: list[ReasonModel]
    denied_targets: list[ReasonModel]
    unavailable_secrets: list[DefinitionProblem]
    warnings: list[DefinitionProblem]
