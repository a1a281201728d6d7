"""The checks that resources need: presets that fit their types, and the hosts of endpoints. Pure."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from jobs.problems import looks_secret
from scheduler.features.discovery.inventory import IGNORE_TAG, Resource

if TYPE_CHECKING:
    from config.presets.preset import Preset

RESOURCE_TAG = "azure_resource"
"""The tag of a job about a host: the id of the resource, by which `--diff` finds that it is deleted."""
_MAX_TAGS, _MAX_TAG = 15, 200
_MAX_HOSTS = 20
"""Of a resource, or other texts of it that get a job each."""
_HOST = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]([a-z0-9-]{0,61}[a-z0-9])?")

Key = tuple[str, ...]
"""What a check is about: `("preset", value of each parameter that a resource gives, name of the preset)`,
`("path", path of a request)` or `("host", name)`; lower case.
"""


class Endpoint(NamedTuple):
    """Where a resource has its host names. `where`: as of a preset's `fits`."""

    paths: tuple[str, ...]
    where: Mapping[str, str] = {}
    scheme: str = "https"


ENDPOINTS: Mapping[str, tuple[Endpoint, ...]] = {
    "microsoft.web/sites": (
        Endpoint(("properties.defaultHostName", "properties.hostNames"), {"properties.state": "Running"}),
    ),
    "microsoft.app/containerapps": (
        Endpoint(
            ("properties.configuration.ingress.fqdn", "properties.configuration.ingress.customDomains.name"),
            {"properties.configuration.ingress.external": "true"},
        ),
    ),
    "microsoft.cdn/profiles/afdendpoints": (
        Endpoint(("properties.hostName",), {"properties.enabledState": "Enabled"}),
    ),
    "microsoft.cdn/profiles/customdomains": (Endpoint(("properties.hostName",)),),
    "microsoft.network/frontdoors": (Endpoint(("properties.frontendEndpoints.properties.hostName",)),),
    "microsoft.apimanagement/service": (Endpoint(("properties.gatewayUrl",)),),
    "microsoft.network/applicationgateways": (
        Endpoint(("properties.httpListeners.properties.hostName", "properties.httpListeners.properties.hostNames")),
    ),
    # No certificate has the name of an address, so it is requested without one.
    "microsoft.network/publicipaddresses": (
        Endpoint(
            ("properties.dnsSettings.fqdn",), {"properties.ipConfiguration.id": "*/applicationgateways/*"}, "http"
        ),
    ),
}
"""By the type of the resource."""


@dataclass(frozen=True, slots=True)
class Need:
    """A check that a resource needs. `subject`: a preset, or a URL. `keys`: a job with one of them is this check."""

    resource: Resource
    subject: str
    keys: tuple[Key, ...]
    definition: Mapping[str, Any]
    base_name: str
    role: str = ""
    scope: str = ""


@dataclass(slots=True)
class FoundNeeds:
    """`unfit`: resource, preset and why the preset cannot be used for it."""

    needs: list[Need] = field(default_factory=list)
    unfit: list[tuple[Resource, str, str]] = field(default_factory=list)


def list_paths(presets: Iterable[Preset]) -> Mapping[str, frozenset[str]]:
    """Return the paths of the texts that are needed of a resource, by its type."""
    paths: dict[str, set[str]] = {
        kind: {path for each in endpoints for path in (*each.paths, *each.where)}
        for kind, endpoints in ENDPOINTS.items()
    }
    for preset in presets:
        if preset.fits is not None:
            paths.setdefault(preset.fits.type, set()).update((*preset.fits.where, *preset.fits.each.values()))
    return {kind: frozenset(found) for kind, found in paths.items()}


def find_needs(resources: Iterable[Resource], presets: Sequence[Preset], cloud: str = "public") -> FoundNeeds:
    """Return the checks that the resources need, each host once."""
    found, hosts = FoundNeeds(), set[str]()
    fitting: dict[str, list[Preset]] = {}
    for preset in presets:
        if preset.fits is not None:
            fitting.setdefault(preset.fits.type, []).append(preset)
    for resource in sorted(resources, key=lambda each: each.id.lower()):
        for preset in fitting.get(resource.type, ()):
            if preset.fits is not None and resource.matches(preset.fits.where):
                for values in _list_values(resource, preset):
                    _add_preset(found, resource, preset, values, cloud)
        for scheme, host in find_hosts(resource):
            if host not in hosts:
                hosts.add(host)
                found.needs.append(_need_host(resource, scheme, host))
    return found


def _list_values(resource: Resource, preset: Preset) -> Iterator[dict[str, str]]:
    """Yield the values of each job of a preset for a resource."""
    assert preset.fits is not None
    known = {"subscription": resource.subscription, "resource_group": resource.group, "resource": resource.id}
    known[preset.fits.parameter] = resource.name
    values = {name: value for name, value in known.items() if name in preset.parameters}
    if not preset.fits.each:
        yield values
    for name, path in preset.fits.each.items():
        texts = dict.fromkeys(text.lower() for text in resource.texts.get(path, ()))
        yield from ({**values, name: text} for text in list(texts)[:_MAX_HOSTS])


def _add_preset(found: FoundNeeds, resource: Resource, preset: Preset, values: Mapping[str, str], cloud: str) -> None:
    assert preset.fits is not None
    if mistakes := list(preset.find_mistakes(values, ())):
        found.unfit.append((resource, preset.name, mistakes[0].message))
        return
    scope = preset.fill_scope(values)
    check = preset.fill(values).job["check"]
    path = check.get("resource")
    keys: tuple[Key, ...] = (make_preset_key(preset, values),)
    if isinstance(path, str) and not preset.fits.each:
        keys += (("path", path.lower()),)
    elsewhere = cloud != "public" and str(check.get("kind")).startswith("azure_")
    override = {"check": {"cloud": cloud}} if elsewhere else {}
    definition = {"preset": preset.name, "with": values, **override, **make_tags(resource)}
    prefix = "" if resource.name.lower().startswith(resource.group.lower()) else f"{resource.group}-"
    subject = next((values[each] for each in preset.fits.each), f"{prefix}{resource.name}")
    name = make_name(f"{subject}-{preset.name}")
    found.needs.append(Need(resource, preset.name, keys, definition, name, preset.role, scope))


def make_preset_key(preset: Preset, values: Mapping[str, Any]) -> Key:
    """Return what a job of this preset with these values is about."""
    names = preset.fits.names & preset.parameters.keys() if preset.fits is not None else ()
    return ("preset", *(str(values.get(name, "")).lower() for name in sorted(names)), preset.name)


def find_hosts(resource: Resource) -> Iterator[tuple[str, str]]:
    """Yield scheme and name of each public host of a resource."""
    for endpoint in ENDPOINTS.get(resource.type, ()):
        if not resource.matches(endpoint.where):
            continue
        texts = [text for path in endpoint.paths for text in resource.texts.get(path, ())]
        names = dict.fromkeys(text.lower().removeprefix("https://").rstrip("/") for text in texts)
        yield from ((endpoint.scheme, name) for name in list(names)[:_MAX_HOSTS] if _HOST.fullmatch(name))


def _need_host(resource: Resource, scheme: str, host: str) -> Need:
    expect: list[dict[str, Any]] = [{"status_not": "500-599"}]
    if scheme == "https":
        expect += [{"certificate_valid_for": "3d"}, {"certificate_valid_for": "21d", "severity": "degraded"}]
    url = f"{scheme}://{host}/"
    job = {"schedule": "every 5m", "check": {"url": url}, "expect": expect}
    tags = make_tags(resource, {RESOURCE_TAG: resource.id})
    return Need(resource, url, (("host", host),), {**job, **tags}, make_name(host))


def make_tags(resource: Resource, further: Mapping[str, str] | None = None) -> dict[str, dict[str, str]]:
    """Return the key `tags` of a job: those of the resource that a person has given it; empty without any."""
    tags = {
        name: text
        for name, text in sorted(resource.tags.items())
        if name.isprintable() and text.isprintable() and 0 < len(name) <= _MAX_TAG and len(text) <= _MAX_TAG
        if not name.lower().startswith("hidden-") and name.lower() not in (IGNORE_TAG[0], RESOURCE_TAG)
        if not looks_secret(name)
    }
    every = {**dict(list(tags.items())[:_MAX_TAGS]), **(further or {})}
    return {"tags": every} if every else {}


def make_name(text: str) -> str:
    """Return a valid name of a job or a file, in lower case."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")[:90].rstrip("-._") or "resource"


def assign_names(needs: Sequence[Need], present: Mapping[Key, str], others: frozenset[str]) -> Mapping[Key, str]:
    """Return a unique name for each need, by its first key. `present`: names that written jobs have; they are retained.

    `others`: names of other jobs. Names that are equal get a part that follows from the id alone.
    """
    names = {need.keys[0]: present[need.keys[0]] for need in needs if need.keys[0] in present}
    used = Counter((*others, *names.values()))
    bases = Counter(need.base_name for need in needs if need.keys[0] not in names)
    for need in needs:
        name = need.base_name
        if need.keys[0] not in names:
            if bases[name] > 1 or used[name]:
                name = f"{name}-{hashlib.sha256('/'.join(need.keys[0]).encode()).hexdigest()[:8]}"
            names[need.keys[0]] = name
            used[name] += 1
    return names
