"""Role assignments as Bicep: one for each role and resource, for the identity of the scheduler. Pure.

A deployment at a subscription calls one module for each resource group, whose parameters are names of resources. The
assignment of a role is at the resource itself, so that the identity reads nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from scheduler.features.discovery.needs import Need

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
MAIN_FILE, MODULE_FILE = "roles.bicep", "roles-of-group.bicep"

_SCOPE = re.compile(r"/subscriptions/([^/]+)/resourceGroups/([^/]+)/providers/([A-Za-z0-9.]+/[A-Za-z0-9]+)/([^/]+)")
_VERSION = re.compile(r"\d{4}-\d\d-\d\d(-preview)?")
_ANY_VERSION = "2024-01-01"
"""Of a type whose preset has none: Azure never receives it, because nothing of the resource is read."""


class RoleKind(NamedTuple):
    """What a parameter of the module is about: a role at resources of a type."""

    type: str
    role: str


class RoleFiles(NamedTuple):
    """`by_hand`: roles and scopes that are not in the files."""

    texts: Mapping[str, str]
    by_hand: tuple[tuple[str, str], ...]


def write_roles(needs: Iterable[Need]) -> RoleFiles:
    """Return the two files by their names; none if no role is needed."""
    groups: dict[tuple[str, str], dict[RoleKind, dict[str, str]]] = {}
    versions: dict[RoleKind, str] = {}
    by_hand: dict[tuple[str, str], None] = {}
    for need in (need for need in needs if need.role):
        found = _SCOPE.fullmatch(need.scope)
        if found is None or need.role not in ROLES:
            by_hand[need.role, need.scope] = None
            continue
        subscription, group, kind, name = found.groups()
        version = need.api_version if _VERSION.fullmatch(need.api_version) else _ANY_VERSION
        versions.setdefault(RoleKind(kind, need.role), version)
        names = groups.setdefault((subscription.lower(), group.lower()), {}).setdefault(RoleKind(kind, need.role), {})
        names.setdefault(name.lower(), name)
    if not groups:
        return RoleFiles({}, tuple(by_hand))
    parameters = {kind: f"names{number}" for number, kind in enumerate(sorted(versions), 1)}
    calls = [
        _write_call(number, *group, {parameters[kind]: list(names.values()) for kind, names in kinds.items()})
        for number, (group, kinds) in enumerate(sorted(groups.items()), 1)
    ]
    parts = [_write_kind(kind, versions[kind], name) for kind, name in parameters.items()]
    texts = {MAIN_FILE: _MAIN + "".join(calls), MODULE_FILE: _MODULE + "".join(parts)}
    return RoleFiles(texts, tuple(by_hand))


_PRINCIPAL = """
@description('Object id of the identity of the scheduler')
param principalId string
"""
_MAIN = f"""
targetScope = 'subscription'
{_PRINCIPAL}"""
_MODULE = _PRINCIPAL


def write_text(text: str) -> str:
    """Return a text as Bicep."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("${", "\\${")
    return "'" + re.sub(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", lambda each: f"\\u{{{ord(each[0]):x}}}", escaped) + "'"


def _write_call(number: int, subscription: str, group: str, names: Mapping[str, list[str]]) -> str:
    lists = "".join(
        f"    {parameter}: [\n" + "".join(f"      {write_text(name)}\n" for name in found) + "    ]\n"
        for parameter, found in sorted(names.items())
    )
    return f"""
module group{number} '{MODULE_FILE}' = {{
  name: 'scheduler-roles-{number}'
  scope: resourceGroup({write_text(subscription)}, {write_text(group)})
  params: {{
    principalId: principalId
{lists}  }}
}}
"""


def _write_kind(kind: RoleKind, version: str, parameter: str) -> str:
    number = parameter.removeprefix("names")
    return f"""
@description({write_text(f"Names of {kind.type} of which it gets the role {kind.role}")})
param {parameter} array = []

resource resources{number} '{kind.type}@{version}' existing = [for name in {parameter}: {{
  name: name
}}]

resource assignments{number} 'Microsoft.Authorization/roleAssignments@2022-04-01' = [for (name, i) in {parameter}: {{
  name: guid(resourceGroup().id, '{kind.type}', name, principalId, '{ROLES[kind.role]}')
  scope: resources{number}[i]
  properties: {{
    principalId: principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', '{ROLES[kind.role]}')
  }}
}}]
"""
