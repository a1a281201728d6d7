"""Tests of Datadog and of Application Insights as resources of Terraform."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from importers.import_context import ImportOptions
from importers.report import ImportReport
from importers.running import detect_source, run_import
from importers.source_tree import SourceFile
from tests.config.importers.importing import details, import_text, outcomes, read_jobs, text_file

DATA = Path(__file__).parents[3] / "data/importers"
SAMPLES = (("app-insights", "main.tf", "prod.tfvars"), ("datadog", "main.tf"))


def _import(source: str, *names: str, **values: str) -> ImportReport:
    return run_import(source, [SourceFile(DATA / source / name, name) for name in names], ImportOptions(values))


@pytest.mark.parametrize("sample", SAMPLES)
def test_each_leaf_is_reported_and_none_is_unknown(sample: tuple[str, ...]) -> None:
    assert [entry.key for entry in _import(*sample).entries if "does not know this key" in entry.detail] == []


@pytest.mark.parametrize("sample", SAMPLES)
def test_the_written_jobs_are_valid_and_without_secrets(sample: tuple[str, ...]) -> None:
    report = _import(*sample)
    assert read_jobs(report).keys() == report.definitions.keys() != set()
    written = f"{report.text}{report.to_json()}"
    assert "passw0rd" not in written
    assert "t0ken-of-terraform" not in written


@pytest.mark.parametrize("sample", SAMPLES)
def test_a_configuration_is_detected(sample: tuple[str, ...]) -> None:
    assert detect_source([SourceFile(DATA / sample[0] / "main.tf")]) == sample[0]


def test_web_tests_with_variables_loops_and_dynamic_blocks() -> None:
    report = _import("app-insights", "main.tf", "prod.tfvars")
    assert list(report.definitions) == ["health-prod", "page-home", "page-cart", "classic"]
    health: Any = report.definitions["health-prod"]
    assert health["check"]["url"] == "https://prod.shop.example/api/health"
    assert health["check"]["headers"] == {"X-Probe": "yes", "X-Team": "shop"}
    assert health["tags"] == {"team": "shop", "environment": "prod", "tier": "gold"}
    assert health["alerts"] == [{"open_after": 2, "severity": "down"}]


def test_another_environment_by_the_command_line() -> None:
    report = _import("app-insights", "main.tf", "prod.tfvars", environment="test")
    assert list(report.definitions) == ["page-home", "page-cart", "classic"]


def test_without_the_value_of_a_variable_the_tests_that_need_it_are_not_imported() -> None:
    report = _import("app-insights", "main.tf")
    assert report.definitions == {}
    key = 'azurerm_application_insights_standard_web_test.page["home"].request[0].url'
    assert "var.domain" in details(report)[key]


def test_keys_and_lines_are_those_of_the_file() -> None:
    report = _import("datadog", "main.tf")
    lines = {entry.key: entry.line for entry in report.entries}
    assert lines["datadog_synthetics_test.health.request_definition[0].url"] == 14
    assert lines["datadog_synthetics_test.health.assertion[2].targetjsonpath[0].jsonpath"] == 48
    assert lines["datadog_synthetics_test.order.api_step[0].extracted_value[0].field"] == 132


def test_a_test_of_datadog() -> None:
    health: Any = _import("datadog", "main.tf").definitions["shop-health"]
    assert health["expect"] == [
        {"status": 200},
        {"response_time_below": "2000ms"},
        {"json": "$.status", "equals": "ok"},
    ]
    assert health["retry"]["attempts"] == 3
    assert health["alerts"] == [{"open_after": 1, "for": "2m", "remind_every": "2h"}]
    assert health["schedule"] == {"every": "5m"}


def test_a_browser_test_is_lost() -> None:
    assert outcomes(_import("datadog", "main.tf"))["datadog_synthetics_test.browser.browser_step[0].type"] == (
        "not carried over"
    )


VALUES = {
    "name": "Shop",
    "type": "api",
    "subtype": "http",
    "status": "live",
    "request_definition": [{"method": "GET", "url": "https://shop.example/", "timeout": None, "body": ""}],
    "assertion": [{"type": "statusCode", "operator": "is", "target": "200", "targetjsonpath": []}],
    "options_list": [{"tick_every": 60, "retry": []}],
    "monitor_id": 5,
    "id": "abc-def-ghi",
}
RESOURCE = {"mode": "managed", "type": "datadog_synthetics_test", "name": "shop"}
PLAN = {
    "format_version": "1.2",
    "terraform_version": "1.9.0",
    "planned_values": {
        "root_module": {
            "child_modules": [
                {"resources": [{**RESOURCE, "address": "module.a.datadog_synthetics_test.shop", "values": VALUES}]}
            ]
        }
    },
}
STATE = {"version": 4, "terraform_version": "1.9.0", "resources": [{**RESOURCE, "instances": [{"attributes": VALUES}]}]}


@pytest.mark.parametrize("document", [PLAN, STATE])
def test_plans_and_states(document: dict[str, Any]) -> None:
    text = json.dumps(document)
    assert detect_source([text_file(text, "plan.json")]) == "datadog"
    report = import_text("datadog", text, name="plan.json")
    assert report.definitions["shop"]["expect"] == [{"status": 200}]
    assert [entry.key for entry in report.entries if "does not know this key" in entry.detail] == []


def test_a_state_of_web_tests() -> None:
    values = {
        "name": "shop",
        "frequency": 300,
        "timeout": 30,
        "request": [{"url": "https://shop.example/", "header": [], "body": None}],
        "validation_rules": [{"content": [], "expected_status_code": 204, "ssl_check_enabled": False}],
    }
    resource = {
        **RESOURCE,
        "type": "azurerm_application_insights_standard_web_test",
        "address": "a.b",
        "values": values,
    }
    text = json.dumps({"terraform_version": "1.9.0", "values": {"root_module": {"resources": [resource]}}})
    assert import_text("app-insights", text, name="state.json").definitions["shop"]["expect"] == [{"status": 204}]


def test_a_message_that_only_terraform_knows_is_no_description() -> None:
    source = """
resource "datadog_synthetics_test" "shop" {
  name    = "shop"
  type    = "api"
  subtype = "http"
  message = "Call ${var.team}"
  request_definition {
    method = "GET"
    url    = "https://shop.example/"
  }
  options_list { tick_every = 60 }
}
"""
    report = import_text("datadog", source, name="main.tf")
    assert "description" not in report.definitions["shop"]
    (message,) = [entry for entry in report.entries if entry.path == ("message",)]
    assert "only known when the template is deployed (var.team)" in message.detail
