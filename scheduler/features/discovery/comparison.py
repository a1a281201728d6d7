"""What jobs are about, and which of them are about a resource that does not exist any more. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from jobs.definition import JobDefinition
from jobs.formats import host_and_port
from jobs.targets import AzureTarget
from scheduler.features.discovery.inventory import Inventory
from scheduler.features.discovery.needs import RESOURCE_TAG, Key, find_hosts

if TYPE_CHECKING:
    from config.presets.library import PresetLibrary


def find_keys(job: JobDefinition, presets: PresetLibrary) -> Iterator[Key]:
    """Yield what a job is about."""
    check = job.check
    preset = presets.find(job.preset.name) if job.preset is not None else None
    if preset is not None and job.preset is not None:
        yield "preset", preset.name, preset.fill_scope(job.preset.with_).lower()
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
    from fnmatch import fnmatchcase

    texts = (identifier.lower(), identifier.lower().rpartition("/")[2], subject.lower())
    return any(fnmatchcase(text, pattern.lower()) for text in texts for pattern in patterns)
