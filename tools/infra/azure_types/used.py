"""The resources that deployments of infra/bicep send, and the properties in them.

Used by tools.infra.azure_types.extraction and tests/infra/azure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from tools.infra.arm.documents import BICEP, environments
from tools.infra.arm.evaluation import Deployment, evaluate
from tools.infra.arm.template import compile_parameters, compile_template

ENVELOPE = ("type", "apiVersion", "scope", "dependsOn", "resourceGroup", "metadata")
"""Keys of a resource in a template that are not properties of its type."""

VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "all options": ("dev", {"deployRegistry": True, "subscribeToVault": True, "privateNetworking": True}),
    "a private API": ("prod", {"publicApi": False}),
    "a private container app": ("container-apps", {"publicApi": False, "deployRegistry": True}),
    "events of the container app": ("container-apps", {"subscribeToVault": True}),
    "what a container app uses": ("container-apps", {"deployApp": False}),
    "a deployer": ("dev", {"deployerPrincipalId": "33333333-3333-3333-3333-333333333333"}),
    "a deployer of a container app": (
        "container-apps",
        {"deployerPrincipalId": "33333333-3333-3333-3333-333333333333"},
    ),
    "a dedicated plan": ("prod", {"planSku": "P1v3", "stagingSlot": False}),
}
"""Further deployments: an environment with other parameters."""


@cache
def template() -> dict[str, Any]:
    return compile_template(BICEP / "main.bicep")


@cache
def parameters_of(environment: str) -> dict[str, Any]:
    document = compile_parameters(BICEP / "parameters" / f"{environment}.bicepparam")
    return {name: each["value"] for name, each in document["parameters"].items()}


@cache
def deployment_of(name: str) -> Deployment:
    """Return what a deployment of an environment, or of a variant, sends."""
    environment, changes = VARIANTS.get(name, (name, {}))
    return evaluate(template(), {**parameters_of(environment), **changes})


def all_deployments() -> list[str]:
    return [*environments(), *VARIANTS]


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
