"""The targets of the Azure kinds: only APIs of Azure, only requests that read, and the resource that they are about."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from jobs.checks.binding.rules import find_deliveries
from jobs.definition import JobDefinition
from jobs.problems import validation_problems
from jobs.targets import AzureTarget
from jobs.targets.azure_apis import API_HOSTS
from jobs.targets.resource_paths import find_resource_id

GUID = "00000000-0000-4000-8000-000000000001"
SUBSCRIPTION = f"/subscriptions/{GUID}"
BUS = f"{SUBSCRIPTION}/resourceGroups/shop/providers/Microsoft.ServiceBus/namespaces/orders"
RESOURCE: dict[str, Any] = {"kind": "azure_resource", "resource": f"{BUS}/queues", "api_version": "2021-11-01"}
QUERY: dict[str, Any] = {"kind": "azure_query", "workspace": GUID, "query": "Usage | take 10"}
METRIC: dict[str, Any] = {"kind": "azure_metric", "resource": BUS, "metric": "ActiveMessages"}
QUEUE: dict[str, Any] = {"kind": "azure_queue", "account": "shopqueues", "queue": "orders"}


def target(check: dict[str, Any]) -> AzureTarget:
    made = JobDefinition.model_validate({"name": "a", "check": check}).check
    assert isinstance(made, AzureTarget)
    return made


def problem(check: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as caught:
        target(check)
    return str(validation_problems(caught.value, JobDefinition)[0])


@pytest.mark.parametrize(
    ("check", "words"),
    [
        (RESOURCE | {"resource": "https://evil.example/x"}, "the host must be management.azure.com or graph.microsoft"),
        (RESOURCE | {"resource": "https://management.azure.com:8443/subscriptions"}, "the host must be"),
        (RESOURCE | {"resource": "https://management.azure.com@evil.example/x"}, "the host must be"),
        (RESOURCE | {"resource": "https://management.azure.com.evil.example/x"}, "the host must be"),
        (RESOURCE | {"resource": "https://graph.microsoft.us/v1.0/users"}, "the host must be"),
        (RESOURCE | {"resource": "http://management.azure.com/subscriptions"}, "is not the path of a resource"),
        (RESOURCE | {"resource": "subscriptions/x"}, "is not the path of a resource"),
        (RESOURCE | {"resource": f"{SUBSCRIPTION}/../x"}, "is not the path of a resource"),
        (RESOURCE | {"resource": f"{SUBSCRIPTION}//x"}, "is not the path of a resource"),
        (RESOURCE | {"resource": f"{SUBSCRIPTION}/x y"}, "is not the path of a resource"),
        (RESOURCE | {"resource": f"{SUBSCRIPTION}/%0d%0a/x\r\n"}, "is not the path of a resource"),
        *(
            (RESOURCE | {"resource": f"{SUBSCRIPTION}/providers/{code}/x"}, f"has {code[:3]}")
            for code in ("%2e%2e", "%6dicrosoft.keyvault", "%2F", "%5c", "%252e", "%0d%0a", "%zz", "%a")
        ),
        (RESOURCE | {"resource": f"{SUBSCRIPTION}?api-version=2021-11-01"}, "must not have a query"),
        (RESOURCE | {"api_version": ""}, "Azure Resource Manager needs an api_version"),
        (RESOURCE | {"api_version": "latest"}, "check.api_version"),
        (RESOURCE | {"resource": "https://graph.microsoft.com/v1.0/applications"}, "remove api_version"),
        (RESOURCE | {"query": {"API-Version": "1"}}, "api-version is written as api_version"),
        (RESOURCE | {"resource": f"{BUS}/listKeys", "body": {}}, "only an action that queries"),
        (RESOURCE | {"resource": f"{BUS}/restart", "body": {}}, "only an action that queries"),
        (RESOURCE | {"resource": f"{BUS}/queryPipelineRuns", "body": [1]}, "check.body"),
        (RESOURCE | {"since": "1h"}, "since: {since} is missing in query and body"),
        (RESOURCE | {"query": {"$filter": "startTime ge {since}"}}, "since: {since} in query or body needs it"),
        (RESOURCE | {"age_of": "$.value[*].name"}, "check.age_of"),
        (RESOURCE | {"age_of": "properties.reportedTime"}, "check.age_of"),
        (RESOURCE | {"max_data_age": "1h"}, "max_data_age needs age_of"),
        (QUERY | {"application": GUID}, "needs exactly one of workspace, application and subscriptions"),
        (QUERY | {"workspace": None}, "needs exactly one of"),
        (QUERY | {"workspace": "../x"}, "check.workspace"),
        (QUERY | {"query": ".drop table Usage"}, "is a management command"),
        (QUERY | {"query": "  "}, "is empty"),
        (QUERY | {"query": "x" * 10_001}, "check.query"),
        (
            {"kind": "azure_query", "subscriptions": [GUID], "query": "resources", "timespan": "1h"},
            "timespan is for logs",
        ),
        (METRIC | {"resource": "https://management.azure.com/x"}, "is not the path of a resource"),
        (METRIC | {"resource": "/providers/x"}, "is not the id of a resource"),
        (METRIC | {"metric": "a,b"}, "check.metric"),
        (METRIC | {"window": "5m", "interval": "1h"}, "window is shorter than interval"),
        (METRIC | {"cloud": "mars"}, "check.cloud"),
        (QUEUE | {"account": "evil.example/"}, "check.account"),
        (QUEUE | {"account": "x@y"}, "check.account"),
        (QUEUE | {"queue": "../orders"}, "check.queue"),
        (QUEUE | {"queue": "orders?comp=list"}, "check.queue"),
        (QUEUE | {"queue": "orders\n"}, "check.queue"),
    ],
    ids=str,
)
def test_what_is_not_a_request_to_azure_is_refused(check: dict[str, Any], words: str) -> None:
    assert words in problem(check)


@pytest.mark.parametrize("cloud", list(API_HOSTS))
def test_each_kind_asks_the_api_of_its_cloud_with_a_token_for_it(cloud: str) -> None:
    hosts = API_HOSTS[cloud]
    graph = {"kind": "azure_resource", "resource": f"https://{hosts.graph}/v1.0/applications"}
    checks = [
        (RESOURCE, hosts.arm),
        (graph, hosts.graph),
        (QUERY, hosts.logs),
        ({"kind": "azure_query", "application": GUID, "query": "requests"}, hosts.insights),
        ({"kind": "azure_query", "subscriptions": [GUID], "query": "resources"}, hosts.arm),
        (METRIC, hosts.arm),
    ]
    for check, host in checks:
        made = target(check | {"cloud": cloud})
        assert made.endpoint.startswith(f"https://{host}/")
        assert list(made.destinations()) == [made.endpoint]
        (delivery,) = find_deliveries(made)  # type: ignore[arg-type]
        assert delivery.credential.name == f"https://{host}/.default"
        assert [str(each) for each in delivery.recipients] == [host]


@pytest.mark.parametrize(
    ("path", "resource"),
    [
        (BUS, BUS),
        (f"{BUS}/queues", BUS),
        (f"{BUS}/queues/refunds", f"{BUS}/queues/refunds"),
        (
            f"{BUS}/queues/refunds/providers/Microsoft.ResourceHealth/availabilityStatuses/current",
            f"{BUS}/queues/refunds",
        ),
        (f"{SUBSCRIPTION}/resourceGroups/shop", f"{SUBSCRIPTION}/resourceGroups/shop"),
        (f"{SUBSCRIPTION}/providers/Microsoft.Storage/storageAccounts", SUBSCRIPTION),
        (f"{SUBSCRIPTION}/providers/Microsoft.Compute/locations/westeurope/usages", SUBSCRIPTION),
        (SUBSCRIPTION, SUBSCRIPTION),
        ("/providers/Microsoft.Management/managementGroups/a", ""),
    ],
)
def test_a_path_is_about_a_resource(path: str, resource: str) -> None:
    assert find_resource_id(path) == resource


@given(st.text(max_size=60))
def test_no_text_leads_to_another_host(text: str) -> None:
    for resource in (text, f"/{text}", f"https://{text}", f"https://management.azure.com{text}"):
        try:
            made = target(RESOURCE | {"resource": resource})
        except ValidationError:
            continue
        assert made.host == "management.azure.com"
        assert made.endpoint.startswith("https://management.azure.com/")
        assert not {"?", "#", "\\", " ", "\n"} & set(made.endpoint)


def test_a_definition_can_be_written_and_read_back() -> None:
    for check in (RESOURCE, QUERY | {"timespan": "2h", "max_data_age": "30m"}, METRIC | {"window": "1h"}):
        job = JobDefinition.model_validate({"name": "a", "check": check})
        assert JobDefinition.model_validate(job.model_dump(mode="json", by_alias=True)) == job
