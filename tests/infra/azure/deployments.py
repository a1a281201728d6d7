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
VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "all options": ("dev", {"deployRegistry": True, "subscribeToVault": True, "privateNetworking": True}),
    "a private API": ("prod", {"publicApi": False}),
    "a private container app": ("container-apps", {"publicApi": False, "deployRegistry": True}),
    "events of the container app": ("container-apps", {"subscribeToVault": True}),
    "what a container app uses": ("container-apps", {"deployApp": False}),
    "a deployer": ("dev", _DEPLOYER),
    "a deployer of a container app": ("container-apps", _DEPLOYER),
    "a dedicated plan": ("prod", {"planSku": "P1v3", "stagingSlot": False}),
}
"""Further deployments: an environment with other parameters."""


def environments() -> list[str]:
    """Return the names of the environments with parameters."""
    return sorted(path.stem for path in (BICEP / "parameters").glob("*.bicepparam"))


def all_deployments() -> list[str]:
    return [*environments(), *VARIANTS]


@cache
def main_file() -> BicepFile:
    return BicepFile(BICEP / "main.bicep")


@cache
def parameters_of(environment: str) -> dict[str, Any]:
    return evaluate_parameters(BICEP / "parameters" / f"{environment}.bicepparam")


@cache
def deployment_of(name: str) -> Deployment:
    """Return what a deployment of an environment, or of a variant, sends."""
    environment, changes = VARIANTS.get(name, (name, {}))
    return evaluate(main_file(), {**parameters_of(environment), **changes})


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
