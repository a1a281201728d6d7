"""The roles and tokens that the identity of the app needs for the checks of jobs, as far as definitions tell. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from config.job_files.job_set import JobSet
from config.presets.library import PresetLibrary
from jobs.definition import JobDefinition
from jobs.targets import AzureTarget


@dataclass(frozen=True, slots=True)
class NeededAccess:
    """A role at a scope, empty if not known, and the scope of the token, which `identity.allow` names."""

    role: str
    scope: str
    token: str
    jobs: tuple[str, ...]


def list_needed_access(jobs: JobSet) -> list[NeededAccess]:
    """Return what the jobs that get tokens need, each role at a scope once."""
    names: dict[tuple[str, str, str], dict[str, None]] = {}
    for located in jobs.uses:
        if located.use.kind == "scope":
            role, scopes = _find_role(located.job, jobs.presets)
            for scope in scopes or ("",):
                names.setdefault((role, scope, located.use.name), {})[located.job.name] = None
    return [NeededAccess(*key, tuple(found)) for key, found in sorted(names.items())]


def _find_role(job: JobDefinition, presets: PresetLibrary) -> tuple[str, tuple[str, ...]]:
    check = job.check
    if isinstance(check, AzureTarget) and check.role_scopes:
        return check.role, check.role_scopes
    if job.preset is not None and (preset := presets.find(job.preset.name)) is not None:
        return preset.role, (preset.fill_scope(job.preset.with_),)
    # The default is a role of Azure Resource Manager, which this check does not request, or not at a known place.
    return check.role if isinstance(check, AzureTarget) and "role" in check.model_fields_set else "", ()
