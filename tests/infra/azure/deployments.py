"""The deployments of infra/bicep that the tests evaluate, and the properties of their resources."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from tests.infra.azure.bicep import BicepFile
from tests.infra.azure.evaluation import Deployment, evaluate, evaluate_parameters
from tests.project import ROOT

BICEP = ROOT / "infra" / "bicep"
ENVELOPE = ("type", "apiVersion", "scope")
"""Keys of a resource that are not properties of its type."""

_DEPLOYER = {"deployerPrincipalId": "33333333-3333-3333-3333-333333333333"}
_SUBNETS = (
    "/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-network/providers/Microsoft.Network/"
    "virtualNetworks/vnet-spoke/subnets"
)
_OWN_NETWORK = {
    **{"privateNetworking": True, "jobsSubnetPrefix": "10.20.6.0/27", "natGateway": True, "dnsServers": ["10.0.0.4"]},
    "hubNetworkId": _SUBNETS.replace("vnet-spoke/subnets", "vnet-hub"),
    "routeTableId": _SUBNETS.replace("virtualNetworks/vnet-spoke/subnets", "routeTables/rt-spoke"),
}
_EXISTING_NETWORK = {
    **{"appSubnetId": f"{_SUBNETS}/app", "endpointSubnetId": f"{_SUBNETS}/pe", "jobsSubnetId": f"{_SUBNETS}/jobs"},
    "privateNetworking": False,
    "privateDnsZoneIds": {
        "default": "/subscriptions/44444444-4444-4444-4444-444444444444/resourceGroups/rg-dns",
        "privatelink.blob.core.windows.net": "none",
        "containerApps": "none",
    },
}
_ALL = {
    **_DEPLOYER,
    "maintenanceJobs": True,
    "backupHeartbeat": True,
    "lockData": True,
    "deployRegistry": True,
    "maxInstances": 2,
}
NETWORKS = {"own": _OWN_NETWORK, "existing": _EXISTING_NETWORK}
_SETTINGS: Mapping[str, Mapping[str, Any]] = {"functions": {}, "container-apps": {}, "embedded": {"settings": {}}}
MATRIX: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    f"{platform}, {'public' if public else 'private'} API, {network} network, {3 if zones else 1} zones": (
        "prod",
        {**_ALL, **changes, **_SETTINGS[platform], "platform": platform, "publicApi": public, "zoneRedundant": zones},
    )
    for platform in _SETTINGS
    for public in (True, False)
    for network, changes in NETWORKS.items()
    for zones in (False, True)
}
"""Each platform with each kind of network."""
WITH_LINK: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    f"{name}, private link of telemetry": (parameters, {**changes, "monitorPrivateLink": "create"})
    for name, (parameters, changes) in MATRIX.items()
}

VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "all options": ("dev", {"deployRegistry": True, "subscribeToVault": True, "privateNetworking": True}),
    "a private API": ("prod", {"publicApi": False}),
    "a private container app": ("container-apps", {"publicApi": False, "deployRegistry": True}),
    "events of the container app": ("container-apps", {"subscribeToVault": True}),
    "function keys of a container app": (
        "container-apps",
        {"settings": {"SCHEDULER_HTTP__AUTHENTICATION": "function_keys"}},
    ),
    "what a container app uses": ("container-apps", {"deployApp": False}),
    "a deployer": ("dev", _DEPLOYER),
    "a deployer of a container app": ("container-apps", _DEPLOYER),
    "a dedicated plan": ("prod", {"planSku": "P1v3", "stagingSlot": False}),
    "the embedded host without a network": ("dev", {"platform": "embedded", "settings": {}, "maintenanceJobs": True}),
    "backups in another account": ("prod", {"backupTarget": "https://contosobackups.blob.core.windows.net/scheduler"}),
    "a locked policy of backups": ("prod", {"backupsLocked": True}),
    "endpoints in another network": (
        "prod",
        {
            **{"appSubnetId": f"{_SUBNETS}/app", "jobsSubnetId": f"{_SUBNETS}/jobs", "publicApi": False},
            "endpointSubnetId": f"{_SUBNETS.replace('vnet-spoke', 'vnet-endpoints')}/pe",
        },
    ),
    "an existing private link of telemetry": (
        "existing-network",
        {
            "monitorPrivateLink": _SUBNETS.partition("/providers/")[0]
            + "/providers/Microsoft.Insights/privateLinkScopes/ampls-hub"
        },
    ),
    "zones of DNS by policy": ("prod", {"privateDnsZoneIds": {"default": "none"}, "diagnosticsWorkspaceId": "none"}),
    **MATRIX,
    **WITH_LINK,
}
"""Further deployments: an environment with other parameters."""


def environments() -> list[str]:
    """Return the names of the files of parameters: those of environments, and samples."""
    return sorted(path.stem for path in (BICEP / "parameters").glob("*.bicepparam"))


def all_deployments() -> list[str]:
    return [*environments(), *VARIANTS]


@cache
def main_file() -> BicepFile:
    return BicepFile(BICEP / "main.bicep")


@cache
def parameters_of(environment: str) -> dict[str, Any]:
    return evaluate_parameters(BICEP / "parameters" / f"{environment}.bicepparam")


def given_for(name: str) -> dict[str, Any]:
    """Return the parameters of a deployment."""
    environment, changes = VARIANTS.get(name, (name, {}))
    return {**parameters_of(environment), **changes}


@cache
def deployment_of(name: str) -> Deployment:
    """Return what a deployment of an environment, or of a variant, sends."""
    return evaluate(main_file(), given_for(name))


def the(kind: str, deployment: str) -> dict[str, Any]:
    """Return the resource of this type, of which the deployment has one."""
    (resource,) = deployment_of(deployment).of_type(kind)
    return resource


def used_properties() -> dict[str, dict[str, Any]]:
    """Return the properties by `type@version`, as a tree of names."""
    found: dict[str, dict[str, Any]] = {}
    for name in all_deployments():
        for resource in deployment_of(name).resources:
            tree = found.setdefault(f"{resource['type']}@{resource['apiVersion']}", {})
            _merge(tree, {key: value for key, value in resource.items() if key not in ENVELOPE})
    return found


def _merge(tree: dict[str, Any], value: Any) -> None:
    for key, each in _properties(value):
        _merge(tree.setdefault(key, {}), each)


def _properties(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        for each in value:
            yield from _properties(each)
