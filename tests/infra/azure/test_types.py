"""What a deployment sends fits the types that Microsoft publishes: names, kinds, values and required properties."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.infra.azure.deployments import all_deployments, deployment_of, used_properties
from tests.infra.azure.types import find_problems, load_types

Resource = dict[str, Any]


@pytest.mark.parametrize("deployment", all_deployments())
def test_each_resource_fits_its_type(deployment: str) -> None:
    assert [problem for resource in deployment_of(deployment).resources for problem in find_problems(resource)] == []


def test_the_types_are_those_of_the_templates_and_no_others() -> None:
    assert set(load_types()["types"]) == set(used_properties())
    assert load_types()["source"].startswith("github.com/Azure/bicep-types-az, commit ")


def the(kind: str, deployment: str = "all options") -> Resource:
    return copy.deepcopy(deployment_of(deployment).of_type(kind)[0])


def misspell(resource: Resource) -> None:
    resource["properties"]["allowSharedKeyAcess"] = False


def misplace(resource: Resource) -> None:
    resource["allowSharedKeyAccess"] = False


def use_a_text(resource: Resource) -> None:
    resource["properties"]["allowSharedKeyAccess"] = "false"


def use_another_value(resource: Resource) -> None:
    resource["properties"]["minimumTlsVersion"] = "1.2"


def use_another_name(resource: Resource) -> None:
    resource["name"] = "Scheduler-Storage"


def forget_the_sku(resource: Resource) -> None:
    del resource["sku"]


def misspell_below(resource: Resource) -> None:
    resource["properties"]["encryption"]["services"]["blob"]["enable"] = True


@pytest.mark.parametrize(
    ("slip", "path"),
    [
        (misspell, "/properties/allowSharedKeyAcess: does not exist"),
        (misplace, "/allowSharedKeyAccess: does not exist"),
        (use_a_text, "/properties/allowSharedKeyAccess: is not of type boolean: 'false'"),
        (use_another_value, "/properties/minimumTlsVersion: '1.2' is not a documented value: TLS1_0"),
        (use_another_name, "/name: 'Scheduler-Storage' does not have the form"),
        (forget_the_sku, ": sku is missing"),
        (misspell_below, "/properties/encryption/services/blob/enable: does not exist"),
    ],
)
def test_a_slip_is_found(slip: Callable[[Resource], None], path: str) -> None:
    resource = the("Microsoft.Storage/storageAccounts")
    assert find_problems(resource) == []
    slip(resource)
    (problem,) = find_problems(resource)
    assert problem.startswith(f"Microsoft.Storage/storageAccounts{path}")


def test_a_slip_in_a_kind_of_destination_is_found() -> None:
    subscription = the("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    destination = subscription["properties"]["destination"]
    destination["properties"]["endpointUrl"] = "https://a"
    assert len(find_problems(subscription)) == 1
    destination["endpointType"] = "Webhook"
    (problem,) = find_problems(subscription)
    assert "endpointType 'Webhook' is not one of" in problem


def test_a_type_that_is_not_known_is_a_problem() -> None:
    resource = the("Microsoft.KeyVault/vaults")
    resource["apiVersion"] = "2015-06-01"
    assert "is not in resource_types.json" in find_problems(resource)[0]
