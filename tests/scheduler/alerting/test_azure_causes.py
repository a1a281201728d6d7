"""Jobs about different resources of Azure have no cause in common, although one host answers about all of them."""

from __future__ import annotations

from jobs.definition import JobDefinition
from scheduler.alerting.causes import find_causes


def test_the_host_of_an_azure_api_is_no_cause() -> None:
    check = {
        "kind": "azure_resource",
        "resource": "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups",
        "api_version": "2024-08-01",
    }
    causes = find_causes(JobDefinition.model_validate({"name": "a", "check": check}), None)
    assert not any("management.azure.com" in cause for cause in causes)


def test_the_host_of_a_target_is_a_cause() -> None:
    job = JobDefinition.model_validate({"name": "a", "check": {"url": "https://shop.internal/"}})
    assert "host shop.internal" in find_causes(job, None)
