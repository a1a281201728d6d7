"""Which hosts a deployment needs, and which of them resolve in its network. Called by test_networks.py."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Resource = Mapping[str, Any]
ENDPOINT, GROUP = "Microsoft.Network/privateEndpoints", "Microsoft.Network/privateEndpoints/privateDnsZoneGroups"
ZONE, LINK = "Microsoft.Network/privateDnsZones", "Microsoft.Network/privateDnsZones/virtualNetworkLinks"
RECORD = "Microsoft.Network/privateDnsZones/A"
_STORAGE, _VAULT = "Microsoft.Storage/storageAccounts", "Microsoft.KeyVault/vaults"
_REGISTRY, _SITE, _SLOT = "Microsoft.ContainerRegistry/registries", "Microsoft.Web/sites", "Microsoft.Web/sites/slots"
_SCOPE, _INSIGHTS = "Microsoft.Insights/privateLinkScopes", "Microsoft.Insights/components"
_WORKSPACE = "Microsoft.OperationalInsights/workspaces"
_MONITOR_ZONES = (
    *("privatelink.monitor.azure.com", "privatelink.oms.opinsights.azure.com"),
    *("privatelink.ods.opinsights.azure.com", "privatelink.agentsvc.azure-automation.net"),
)
_ENVIRONMENT, _APP = "Microsoft.App/managedEnvironments", "Microsoft.App/containerApps"


def find_problems(resources: Iterable[Resource], given: Mapping[str, Any]) -> list[str]:
    """Return hosts that are neither public nor resolve to a private address, and endpoints without registration."""
    found = list(resources)
    registered, problems = set[str](), list[str]()
    for endpoint in _of(found, ENDPOINT):
        hosts, *zones = _served(endpoint)
        wrong = _registration_problem(endpoint, zones, found, given)
        registered.update([] if wrong else hosts)
        problems += [f"{endpoint['name']}: {wrong}"] if wrong else []
        if "privateLinkScopes" in str(endpoint):
            problems += _scope_problems(found)
    if "/" in given.get("monitorPrivateLink", ""):  # the owner of the scope has its endpoint
        registered.update(_telemetry_hosts(found))
        problems += _scope_problems(found)
    for environment in _of(found, _ENVIRONMENT):
        registered.update(_hosts_of_environment(environment, found, given))
    return problems + [host for host in private_hosts(found, given) if host not in registered]


def private_hosts(found: list[Resource], given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names that the program, its callers and the pipeline use and that have no public address."""
    services = ("blob", "table") if given["platform"] == "embedded" else ("blob", "table", "queue")
    for each in (one for one in found if one.get("properties", {}).get("publicNetworkAccess") == "Disabled"):
        name = str(each["name"])
        if each["type"] == _STORAGE:
            yield from (f"{name}.{service}.core.windows.net" for service in services)
        elif each["type"] == _VAULT:
            yield f"{name}.vault.azure.net"
        elif each["type"] == _REGISTRY:
            yield f"{name}.azurecr.io"
        elif each["type"] in (_SITE, _SLOT):
            yield from _site_hosts(name.replace("/", "-"))
        elif each["type"] == _ENVIRONMENT:
            yield from (_app_host(app["name"], each) for app in _of(found, _APP))
    yield from _telemetry_hosts(found)


def _telemetry_hosts(found: list[Resource]) -> Iterator[str]:
    """Yield those of components and workspaces that refuse public networks. Their region is not known here."""
    hosts = {_INSIGHTS: "REGION.in.applicationinsights.azure.com", _WORKSPACE: "ID.ods.opinsights.azure.com"}
    for kind, host in hosts.items():
        if any(each["properties"]["publicNetworkAccessForIngestion"] == "Disabled" for each in _of(found, kind)):
            yield host


def _scope_problems(found: list[Resource]) -> list[str]:
    """Return what receives telemetry and is not linked with the scope: its requests by the private link are refused."""
    linked = {each["properties"]["linkedResourceId"] for each in _of(found, f"{_SCOPE}/scopedResources")}
    receivers = [each for kind in (_INSIGHTS, _WORKSPACE) for each in _of(found, kind)]
    return [
        f"{each['name']} is not in the scope"
        for each in receivers
        if not any(id.endswith(f"/{each['type']}/{each['name']}") for id in linked)
    ]


def _served(endpoint: Resource) -> tuple[Any, ...]:
    """Return the hosts that an endpoint serves, and the zones in which the platform registers them."""
    (connection,) = endpoint["properties"]["privateLinkServiceConnections"]
    target, (group,) = connection["properties"]["privateLinkServiceId"], connection["properties"]["groupIds"]
    kind, name = re.fullmatch(r".*/providers/([\w.]+/\w+)/([^/]+)", target).groups()  # type: ignore[union-attr]
    if kind == _STORAGE:
        return [f"{name}.{group}.core.windows.net"], f"privatelink.{group}.core.windows.net"
    if kind == _VAULT and group == "vault":
        return [f"{name}.vault.azure.net"], "privatelink.vaultcore.azure.net"
    if kind == _REGISTRY and group == "registry":
        return [f"{name}.azurecr.io"], "privatelink.azurecr.io"
    if kind == _SITE and group.startswith("sites"):  # `sites-SLOT`: of the slot
        return _site_hosts(f"{name}{group.removeprefix('sites')}"), "privatelink.azurewebsites.net"
    if kind == _SCOPE and group == "azuremonitor":
        return ["REGION.in.applicationinsights.azure.com", "ID.ods.opinsights.azure.com"], *_MONITOR_ZONES
    raise AssertionError(f"{kind} has no group {group}")


def _registration_problem(endpoint: Resource, zones: list[str], found: list[Resource], given: Mapping[str, Any]) -> str:
    """Return what is wrong with the zones of an endpoint; empty: it is registered, or the parameters say `none`."""
    groups = [each for each in _of(found, GROUP) if each["name"] == f"{endpoint['name']}/default"]
    configured = [one["properties"]["privateDnsZoneId"] for each in groups for one in _configs(each)]
    stated = given.get("privateDnsZoneIds", {})
    other = stated.get(zones[0], stated.get("default", ""))
    if other == "none":
        return "a policy registers it, and the template does, too" if configured else ""
    if [id.rpartition("/")[2] for id in configured] != zones:
        return f"is registered in {configured}, not in {', '.join(zones)}"
    if other:
        return "" if configured[0].startswith(other) else f"is registered in {configured[0]}, not in {other}"
    resolver = given.get("appSubnetId") or endpoint["properties"]["subnet"]["id"]
    missing = [zone for zone in zones if not _is_linked(zone, resolver.partition("/subnets/")[0], found)]
    return f"{', '.join(missing)} is not linked with the network of the app" if missing else ""


def _configs(group: Resource) -> list[Resource]:
    found: list[Resource] = group["properties"]["privateDnsZoneConfigs"]
    return found


def _is_linked(zone: str, vnet: str, found: list[Resource]) -> bool:
    exists = any(str(each["name"]) == zone for each in _of(found, ZONE))
    links = [each for each in _of(found, LINK) if str(each["name"]).rpartition("/")[0] == zone]
    return exists and any(each["properties"]["virtualNetwork"]["id"] == vnet for each in links)


def _hosts_of_environment(environment: Resource, found: list[Resource], given: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of apps that resolve: by a wildcard to the environment's address, or by a zone of the company."""
    domain, address = _environment_value(environment, "defaultDomain"), _environment_value(environment, "staticIp")
    records = {
        str(each["name"]).rpartition("/")[2]: [str(one["ipv4Address"]) for one in each["properties"]["aRecords"]]
        for each in _of(found, RECORD)
        if str(each["name"]).startswith(domain)
    }
    vnet = str((environment["properties"]["vnetConfiguration"] or {}).get("infrastructureSubnetId"))
    is_own = records == {"*": [address], "@": [address]} and _is_linked(domain, vnet.partition("/subnets/")[0], found)
    if is_own or given.get("privateDnsZoneIds", {}).get("containerApps") == "none":
        yield from (_app_host(app["name"], environment) for app in _of(found, _APP))


def _environment_value(environment: Resource, key: str) -> str:
    return f"<reference {_ENVIRONMENT}/{environment['name']}.{key}>"


def _app_host(name: str, environment: Resource) -> str:
    return f"{name}.{_environment_value(environment, 'defaultDomain')}"


def _site_hosts(name: str) -> list[str]:
    """The app, and the site by which it is deployed and its logs are read."""
    return [f"{name}.azurewebsites.net", f"{name}.scm.azurewebsites.net"]


def _of(found: Iterable[Resource], kind: str) -> list[Resource]:
    return [each for each in found if each["type"] == kind]
