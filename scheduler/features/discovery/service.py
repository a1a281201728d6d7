"""A discovery: which checks resources need, which of them have a job, and the jobs of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jobs.definition import JobDefinition
from jobs.formats import host_and_port
from jobs.targets import AzureTarget
from scheduler.features.discovery.files import OwnFile, add_head, find_refusal, write_jobs
from scheduler.features.discovery.inventory import Inventory
from scheduler.features.discovery.models import DiscoveryReport, MissingCheck, RoleByHand, StaleCheck, UnfitCheck
from scheduler.features.discovery.needs import (
    RESOURCE_TAG,
    Key,
    Need,
    assign_names,
    find_hosts,
    find_needs,
    make_name,
    make_preset_key,
)
from scheduler.features.discovery.roles import RoleFiles, write_roles

if TYPE_CHECKING:
    from config.job_files.job_set import JobSet
    from config.presets.library import PresetLibrary


@dataclass(frozen=True, slots=True)
class Discovery:
    """`missing`: needed checks by the name of their job. `roles`: of all needed checks."""

    report: DiscoveryReport
    missing: Mapping[str, Need]
    roles: RoleFiles

    def list_jobs(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the definitions of the missing jobs by their names."""
        return {name: need.definition for name, need in self.missing.items()}

    def plan_files(self, folder: Path, own: Sequence[OwnFile]) -> Mapping[Path, str]:
        """Return the texts of the job files and roles. `own`: earlier files, which retain their names."""
        present = {one.group.lower(): one.path for one in own}
        groups: dict[str, dict[str, Need]] = {}
        for name, need in self.missing.items():
            groups.setdefault(need.resource.group_id.lower(), {})[name] = need
        files: dict[Path, str] = {}
        for group, needs in groups.items():
            resource = next(iter(needs.values())).resource
            path = present.get(group) or folder / f"azure-{make_name(resource.group)}-{resource.subscription[:8]}.yaml"
            while group not in present and (path in files or path in present.values()):
                path = path.with_stem(f"{path.stem}-2")
            jobs = {name: need.definition for name, need in needs.items()}
            files[path] = add_head(write_jobs(jobs), resource.group_id)
        roles = {folder / name: add_head(text, comment="//") for name, text in self.roles.texts.items()}
        return {**files, **roles}


def discover(
    inventory: Inventory,
    jobs: JobSet,
    own_names: frozenset[str] = frozenset(),
    ignore: Sequence[str] = (),
    group: str = "",
) -> Discovery:
    """Compare what the resources need with the jobs in force.

    `own_names`: of jobs that an earlier discovery wrote, which are written again. `ignore`: patterns of ids, names and
    hosts without a check. `group`: that the inventory is limited to.
    """
    selected = [each for each in inventory.resources if not (each.is_ignored or is_selected(each.id, "", ignore))]
    found = find_needs(selected, list(jobs.presets), inventory.cloud)
    needs = [need for need in found.needs if not is_selected(need.resource.id, need.keys[0][-1], ignore)]
    keys = {job.name: frozenset(find_keys(job, jobs.presets)) for job in jobs}
    others = frozenset(key for name, each in keys.items() if name not in own_names for key in each)
    present = {key: name for name, each in keys.items() if name in own_names for key in each}
    open_needs = [need for need in needs if others.isdisjoint(need.keys)]
    names = assign_names(open_needs, present, frozenset(keys.keys() - own_names))
    missing: dict[str, Need] = {}
    unfit = [UnfitCheck(resource=each.id, check=check, reason=why) for each, check, why in found.unfit]
    for need in open_needs:
        name = names[need.keys[0]]
        if why := find_refusal({name: need.definition}, jobs.presets):
            unfit.append(UnfitCheck(resource=need.resource.id, check=need.subject, reason=why))
        else:
            missing[name] = need
    roles = write_roles(needs, jobs.presets, group)
    report = DiscoveryReport(
        resources=len(inventory.resources),
        ignored=len(inventory.resources) - len(selected),
        covered=len(needs) - len(open_needs),
        missing=[
            MissingCheck(job=name, check=need.subject, resource=need.resource.id) for name, need in missing.items()
        ],
        stale=[
            StaleCheck(job=job.name, resource=identifier, origin=jobs.origins.get(job.name, ""))
            for job, identifier in find_stale((job for job in jobs if job.name not in own_names), inventory)
        ],
        unfit=unfit,
        roles_by_hand=[RoleByHand(role=role, scope=scope) for role, scope in roles.by_hand],
    )
    return Discovery(report, missing, roles)


def find_keys(job: JobDefinition, presets: PresetLibrary) -> Iterator[Key]:
    """Yield what a job is about."""
    check = job.check
    preset = presets.find(job.preset.name) if job.preset is not None else None
    if preset is not None and job.preset is not None:
        yield make_preset_key(preset, job.preset.with_)
    elif isinstance(check, AzureTarget):
        yield "path", check.path.lower()
    if not isinstance(check, AzureTarget):
        yield from (("host", host) for host in _find_hosts(job))


def _find_hosts(job: JobDefinition) -> Iterator[str]:
    for place in job.check.destinations():
        host = host_and_port(place)[0] if isinstance(place, str) else place.host
        yield host.lower()


def find_stale(jobs: Iterable[JobDefinition], inventory: Inventory) -> Iterator[tuple[JobDefinition, str]]:
    """Yield jobs about a resource that is not in the inventory, with the id, and about a host that it has no more."""
    known = {resource.id.lower() for resource in inventory.resources}
    types = {resource.type for resource in inventory.resources}
    hosts = {host for resource in inventory.resources for _, host in find_hosts(resource)}
    for job in jobs:
        is_azure = isinstance(job.check, AzureTarget)
        identifier = job.check.azure_resource if isinstance(job.check, AzureTarget) else job.tags.get(RESOURCE_TAG, "")
        if not identifier or not inventory.covers(identifier):
            continue
        exists = _exists(identifier.lower(), known, types, inventory.containers)
        if not exists or (not is_azure and not hosts.intersection(_find_hosts(job))):
            yield job, identifier


def _exists(identifier: str, known: set[str], types: set[str], containers: frozenset[str]) -> bool:
    """Return whether a resource exists; a part of one, such as a queue, that Resource Graph does not list, does."""
    scope, _, path = identifier.partition("/providers/")
    if not path:
        return scope in containers
    namespace, *pairs = path.split("/")
    if identifier in known or len(pairs) < 2 or "/resourcegroups/" not in scope:
        return True
    if len(pairs) > 2 and "/".join((namespace, *pairs[::2])) in types:
        return False
    return f"{scope}/providers/{namespace}/{pairs[0]}/{pairs[1]}" in known


def is_selected(identifier: str, subject: str, patterns: Sequence[str]) -> bool:
    """Return whether one of the patterns matches the id of a resource, its name, or a subject such as a host."""
    texts = (identifier.lower(), identifier.lower().rpartition("/")[2], subject.lower())
    return any(fnmatchcase(text, pattern.lower()) for text in texts for pattern in patterns)
