"""What a discovery found, as `--json` prints it."""

from __future__ import annotations

from scheduler.model_base import ResponseModel


class MissingCheck(ResponseModel):
    """A check that a resource needs. `check`: a preset, or a URL. `job`: the name that a written job has."""

    job: str
    check: str
    resource: str


class StaleCheck(ResponseModel):
    """A job about a resource that does not exist any more. `origin`: its place in a file."""

    job: str
    resource: str
    origin: str


class UnfitCheck(ResponseModel):
    """A check that no job can be written for, and why."""

    check: str
    resource: str
    reason: str


class DiscoveredFile(ResponseModel):
    """`action`: written, unchanged, deleted, or edited: a person edited the file, and it is left alone."""

    path: str
    action: str


class RoleByHand(ResponseModel):
    """A role that is not in the Bicep files."""

    role: str
    scope: str


class DiscoveryReport(ResponseModel):
    """`resources`, `ignored`: how many exist, and need no check. `covered`: needed checks that have a job."""

    resources: int
    ignored: int
    covered: int
    missing: list[MissingCheck]
    stale: list[StaleCheck]
    unfit: list[UnfitCheck]
    roles_by_hand: list[RoleByHand]
    files: list[DiscoveredFile] = []
