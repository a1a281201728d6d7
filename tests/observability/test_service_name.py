"""Under which name the program reports: in Application Insights the cloud role, in Datadog the service."""

from __future__ import annotations

import pytest

from config.settings.model import DatadogSettings, Settings
from observability.service_name import find_cloud_role, find_datadog_service

SITE = {"WEBSITE_SITE_NAME": "my-site", "CONTAINER_APP_NAME": "my-container"}
ATTRIBUTES = {"OTEL_RESOURCE_ATTRIBUTES": "team=payments, service.name = of%20attributes ,service.namespace=x"}


def test_the_setting_goes_first() -> None:
    assert find_cloud_role(Settings(service_name="mine"), ATTRIBUTES | SITE) == "mine"


def test_the_resource_attributes_go_before_the_platforms_names() -> None:
    assert find_cloud_role(Settings(), ATTRIBUTES | SITE) == "of attributes"


@pytest.mark.parametrize(
    ("environ", "role"),
    [
        (SITE, "my-site"),
        ({"CONTAINER_APP_NAME": "my-container"}, "my-container"),
        ({"WEBSITE_SITE_NAME": " ", "CONTAINER_APP_NAME": "my-container"}, "my-container"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=,broken"}, "scheduler"),
        ({}, "scheduler"),
    ],
)
def test_without_a_name_the_platforms_name_is_the_role(environ: dict[str, str], role: str) -> None:
    assert find_cloud_role(Settings(), environ) == role


def test_datadogs_own_setting_goes_before_that_of_opentelemetry() -> None:
    settings = Settings(service_name="otel", datadog=DatadogSettings(service="dd"))
    assert find_datadog_service(settings, ATTRIBUTES) == "dd"


def test_datadog_takes_the_name_of_opentelemetry() -> None:
    assert find_datadog_service(Settings(service_name="otel"), ATTRIBUTES) == "otel"
    assert find_datadog_service(Settings(), ATTRIBUTES) == "of attributes"


def test_datadogs_service_does_not_follow_the_site_so_that_monitors_continue() -> None:
    assert find_datadog_service(Settings(), SITE) == "scheduler"
