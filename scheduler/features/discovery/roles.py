"""Role assignments as Bicep: one for each role and resource, for the identity of the scheduler. Pure.

A deployment at a subscription calls one module for each resource group, with names of resources. A role is assigned at
the resource itself, so that the identity reads nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

from scheduler.features.discovery.needs import Need, make_name

if TYPE_CHECKING:
    from config.presets.preset import Preset

ROLES: Mapping[str, str] = {
    "Azure Service Bus Data Receiver": "4f6d3b9b-027b-4f4c-9142-0e5a2a2247e0",
    "Backup Reader": "a795c7a0-d4a2-40c1-ae25-d81f01202912",
    "Cost Management Reader": "72fafb9e-0641-4937-9268-a91bfd8191a3",
    "Data Factory Contributor": "673868aa-7521-48a0-acc6-0f60742d39f5",
    "Key Vault Reader": "21090545-7ca7-4776-b22c-e363652d74d2",
    "Log Analytics Reader": "73c42c96-874c-492b-b04d-ab87d138a893",
    "Monitoring Reader": "43d0d8ad-25c7-4714-9337-8ba259a9fe05",
    "Reader": "acdd72a7-3385-48ef-bd42-f606fba81ae7",
    "Storage Blob Data Reader": "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1",
    "Storage Queue Data Reader": "19e7f393-937e-4f77-808e-94535e297925",
}
"""Ids of built-in roles, which are the same in each tenant."""
MODULE_FILE = "roles-of-group.bicep"

_SCOPE = re.compile(r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/([A-Za-z0-9.]+/[A-Za-z0-9]+)/([^/]+)")
_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")
_ANY_VERSION = "2024-01-01"
"""Of a type whose preset has none: Azure never receives it, because nothing of the resource is read."""


class RoleKind(NamedTuple):
    """What a parameter of the module is about: a role at resources of a type."""

    type: str
    role: str

    @property
    def parameter(self) -> str:
        """The name of the parameter with the names of the resources."""
        return re.sub(r"\W+", "_", f"{self.type}_{self.role}")


class RoleFiles(NamedTuple):
    """`by_hand`: roles and scopes that are not in the files."""

    texts: Mapping[str, str]
    by_hand: tuple[tuple[str, str], ...]


def write_roles(needs: Iterable[Need], presets: Iterable[Preset], group: str = "") -> RoleFiles:
    """Return the module, and a file for each subscription, by their names; none if no role is needed.

    The module has a parameter for each preset, so that it fits files of other discoveries. `group`: the resource group
    that the needs are limited to.
    """
    groups: dict[tuple[str, str], dict[RoleKind, dict[str, str]]] = {}
    kinds: dict[RoleKind, str] = {}
    known: dict[tuple[str, str], RoleKind] = {}
    by_hand: dict[tuple[str, str], None] = {}
    for preset in presets:
        if (kind := _find_kind(preset)) is not None:
            version = str(preset.job["check"].get("api_version", ""))
            kind = known.setdefault((kind.type.lower(), kind.role), kind)
            kinds.setdefault(kind, version if _VERSION.fullmatch(version) else _ANY_VERSION)
    for need in (need for need in needs if need.role):
        found = _SCOPE.fullmatch(need.scope)
        kind = None if found is None else known.get((found[3].lower(), need.role))
        if found is None or kind is None:
            by_hand[need.role, need.scope] = None
            continue
        place = groups.setdefault((found[1].lower(), found[2].lower()), {})
        place.setdefault(kind, {}).setdefault(found[4].lower(), found[4])
    mains: dict[str, str] = {}
    for number, ((subscription, name), roles) in enumerate(sorted(groups.items()), 1):
        file = f"roles-{subscription}{f'-{make_name(group)}' if group else ''}.bicep"
        mains[file] = mains.get(file, _MAIN) + _write_call(number, subscription, name, roles)
    module = {MODULE_FILE: _PRINCIPAL + "".join(_write_kind(*kind) for kind in sorted(kinds.items()))}
    return RoleFiles({**mains, **module} if mains else {}, tuple(by_hand))


def _find_kind(preset: Preset) -> RoleKind | None:
    """Return what a preset needs of the resources that it fits; None if Bicep cannot assign it there."""
    if preset.fits is None or preset.role not in ROLES:
        return None
    if preset.scope == "<<resource>>":
        return RoleKind(preset.fits.type, preset.role)
    found = _SCOPE.fullmatch(preset.scope)
    return None if found is None else RoleKind(found[3], preset.role)


_PRINCIPAL = """
@description('Object id of the identity of the scheduler')
param principalId string
"""
_MAIN = f"\ntargetScope = 'subscription'\n{_PRINCIPAL}"


def write_text(text: str) -> str:
    """Return a text as Bicep."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return "'" + re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda each: f"\\u{{{ord(each[0]):x}}}", escaped) + "'"


def _write_call(number: int, subscription: str, group: str, roles: Mapping[RoleKind, Mapping[str, str]]) -> str:
    lists = "".join(
        f"    {kind.parameter}: [\n" + "".join(f"      {write_text(name)}\n" for name in names.values()) + "    ]\n"
        for kind, names in sorted(roles.items())
    )
    return f"""
module group{number} '{MODULE_FILE}' = {{
  name: 'scheduler-roles'
  scope: resourceGroup({write_text(subscription)}, {write_text(group)})
  params: {{
    principalId: principalId
{lists}  }}
}}
"""


def _write_kind(kind: RoleKind, version: str) -> str:
    names, role = kind.parameter, ROLES[kind.role]
    return f"""
@description({write_text(f"Names of {kind.type} of which it gets the role {kind.role}")})
param {names} array = []

resource of_{names} '{kind.type}@{version}' existing = [for name in {names}: {{
  name: name
}}]

resource on_{names} 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (name, i) in {names}: {{
  name: guid(resourceGroup().id, '{kind.type}', name, principalId, '{role}')
  scope: of_{names}[i]
  properties: {{
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{role}')
  }}
}}]
"""
