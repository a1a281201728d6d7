from __future__ import annotations

import pytest

from observability.generation.azure.target import DEFAULT_URL, read_account
from observability.generation.document import ToolError
from tests.observability.generation.azure.api.commands import ON_CALL
from tests.parts.arm_server import COMPONENT, GROUP

REQUIRED = {"AZURE_APPLICATION_INSIGHTS_ID": COMPONENT}


def test_the_resources_belong_into_the_group_of_the_component_unless_another_is_set() -> None:
    assert read_account(REQUIRED).resource_group == GROUP
    other = read_account({**REQUIRED, "AZURE_RESOURCE_GROUP": "monitoring"})
    assert other.resource_group == GROUP.replace("Shop", "monitoring")
    assert other.url == DEFAULT_URL


def test_action_groups_are_separated_by_commas() -> None:
    assert read_account({**REQUIRED, "AZURE_ACTION_GROUP_IDS": f" {ON_CALL}, "}).action_groups == (ON_CALL,)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "AZURE_APPLICATION_INSIGHTS_ID must be .*; it is not set"),
        ({"AZURE_APPLICATION_INSIGHTS_ID": GROUP}, "AZURE_APPLICATION_INSIGHTS_ID must be .*; got '/subscriptions"),
        ({**REQUIRED, "AZURE_ACTION_GROUP_IDS": "on-call"}, "AZURE_ACTION_GROUP_IDS must be .*; got 'on-call'"),
        ({**REQUIRED, "AZURE_RESOURCE_GROUP": "a/b"}, "AZURE_RESOURCE_GROUP must be the name"),
        ({**REQUIRED, "AZURE_RESOURCE_MANAGER_URL": "http://management.azure.com"}, "must be an address such as"),
    ],
)
def test_an_invalid_variable_is_named(variables: dict[str, str], message: str) -> None:
    with pytest.raises(ToolError, match=message):
        read_account(variables)
