"""Web tests as resources of Azure: standard tests, ping tests and alerts in ARM templates and answers of the API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from importers.running import detect_source
from importers.source_tree import UnreadableSource
from tests.config.importers.app_insights.samples import (
    DATA,
    import_template,
    resource,
    resource_job,
    sample,
    template,
)
from tests.config.importers.importing import details, import_text, leaf_paths, outcomes, read_jobs, text_file

SAMPLES = (
    ("ping.webtest",),
    ("sign-in.webtest",),
    ("template.json", "template.parameters.json"),
    ("ping-template.json",),
    ("loop-template.json",),
    ("answer.json",),
)


@pytest.mark.parametrize("names", SAMPLES)
def test_each_leaf_is_reported_and_none_is_unknown(names: tuple[str, ...]) -> None:
    assert [entry.key for entry in sample(*names).entries if "does not know this key" in entry.detail] == []


@pytest.mark.parametrize("names", SAMPLES)
def test_the_written_jobs_are_valid(names: tuple[str, ...]) -> None:
    report = sample(*names)
    assert read_jobs(report).keys() == report.definitions.keys() != set()


@pytest.mark.parametrize("names", SAMPLES)
def test_a_sample_is_detected(names: tuple[str, ...]) -> None:
    assert detect_source([text_file((DATA / names[0]).read_text(), names[0])]) == "app-insights"


def test_no_secret_is_shown() -> None:
    for names in SAMPLES:
        report = sample(*names)
        written = f"{report.text}{report.to_json()}"
        assert "passw0rd" not in written
        assert "t0ken-of-the-template" not in written


def test_an_answer_of_the_api_has_a_line_for_each_leaf() -> None:
    report = sample("answer.json")
    assert {entry.path for entry in report.entries} == leaf_paths(json.loads((DATA / "answer.json").read_text()))


def test_a_template_with_its_parameters() -> None:
    report = sample("template.json", "template.parameters.json")
    assert list(report.definitions) == ["shop-prod-standard", "ping-cart", "ping-search"]
    assert report.definitions["ping-search"]["check"]["url"] == "https://shop.prod.example/search"
    assert report.origins["shop-prod-standard"] == ("template.json", 19)


def test_the_xml_of_a_ping_test_can_be_joined_by_an_expression() -> None:
    job = sample("ping-template.json").definitions["ping-shop"]
    assert job["check"]["url"] == "https://shop.example.com/"
    assert job["expect"] == [{"status": 200}, {"body_contains": "Welcome"}]


def test_a_copy_loop_over_a_parameter_makes_a_job_for_each_element() -> None:
    jobs = sample("loop-template.json").definitions
    assert {name: (job["check"]["url"], job["expect"][0], job["schedule"]) for name, job in jobs.items()} == {
        "home": ("https://a.example.com", {"status": 200}, {"every": "5m"}),
        "login": ("https://a.example.com/login", {"status": 302}, {"every": "10m"}),
    }


def test_an_alert_is_the_rule_of_its_job() -> None:
    report = sample("template.json", "template.parameters.json")
    assert report.definitions["shop-prod-standard"]["alerts"] == [
        {"open_after": 2, "severity": "down", "notify": ["on-call"]}
    ]


def test_a_parameter_without_a_value_prevents_the_job_and_is_named() -> None:
    test = resource(Request={"RequestUrl": "[concat('https://', parameters('host'), '/')]"})
    report = import_template(test, parameters={"host": {"type": "string"}})
    assert report.definitions == {}
    assert "parameter host" in details(report)["shop.properties.Request.RequestUrl"]


def test_a_parameter_with_a_value_of_the_command_line() -> None:
    test = resource(Request={"RequestUrl": "[concat('https://', parameters('host'), '/')]"})
    report = import_template(test, values={"host": "shop.example"}, parameters={"host": {"type": "string"}})
    assert report.definitions["shop"]["check"]["url"] == "https://shop.example/"


def test_retries_are_attempts_after_twenty_seconds() -> None:
    job = resource_job(RetryEnabled=True, Timeout=60)
    assert (job["retry"]["attempts"], job["retry"]["initial"]) == (3, "20s")
    assert job["timeout"] == {"attempt": "1m", "run": "3m40s"}


def test_without_retries_there_is_one_attempt() -> None:
    assert resource_job(RetryEnabled=False)["retry"] == {"attempts": 1}


@pytest.mark.parametrize(
    ("rules", "expect"),
    [
        (None, [{"status": 200}]),
        ({"ExpectedHttpStatusCode": 0}, [{"status": "200-399"}]),
        ({"ExpectedHttpStatusCode": 404}, [{"status": 404}]),
        ({"IgnoreHttpStatusCode": True}, [{"status": "100-599"}]),
        ({"SSLCheck": True, "SSLCertRemainingLifetimeCheck": 14}, [{"status": 200}, {"certificate_valid_for": "14d"}]),
        ({"ContentValidation": {"ContentMatch": "a.b"}}, [{"status": 200}, {"body_contains": "a.b"}]),
        (
            {"ContentValidation": {"ContentMatch": "a.b", "IgnoreCase": True, "PassIfTextFound": False}},
            [{"status": 200}, {"body_not_matches": r"(?i)a\.b"}],
        ),
    ],
)
def test_validation_rules(rules: Any, expect: list[Any]) -> None:
    assert resource_job(ValidationRules=rules)["expect"] == expect


def test_a_body_is_decoded() -> None:
    request = {"RequestUrl": "https://shop.example/", "HttpVerb": "post", "RequestBody": "cGluZw=="}
    check = resource_job(Request=request)["check"]
    assert (check["method"], check["body"]) == ("POST", {"text": "ping"})


def test_a_disabled_test_is_a_disabled_job() -> None:
    assert resource_job(Enabled=False)["enabled"] is False


def test_places_and_parts_of_the_page_are_lost() -> None:
    request = {"RequestUrl": "https://shop.example/", "ParseDependentRequests": True}
    report = import_template(resource(Request=request, Locations=[{"Id": "emea-nl-ams-azr"}]))
    assert outcomes(report)["shop.properties.Locations[0].Id"] == "not carried over"
    assert outcomes(report)["shop.properties.Request.ParseDependentRequests"] == "not carried over"


def test_other_resources_stay_in_the_template() -> None:
    report = import_template(resource(), {"type": "Microsoft.Web/sites", "name": "shop", "properties": {"a": [1]}})
    assert details(report)["resources[1]"] == "not a web test: it stays in the template"


def test_an_alert_of_something_else_stays_in_azure() -> None:
    alert = {"type": "Microsoft.Insights/metricAlerts", "name": "cpu", "properties": {"criteria": {"allOf": []}}}
    report = import_template(resource(), alert)
    assert report.definitions["shop"]["alerts"] == [{"open_after": 1}]
    assert outcomes(report)["cpu.name"] == "changed"


def test_a_nested_deployment_is_read() -> None:
    nested = {"type": "Microsoft.Resources/deployments", "properties": {"template": {"resources": [resource()]}}}
    assert list(import_template(nested).definitions) == ["shop"]


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("format('{0}-{1}', 'a', 7)", "a-7"),
        ("toLower(concat('A', if(equals(1, 1), 'B', 'C')))", "ab"),
        ("variables('names').second[0]", "two"),
        ("replace('it''s', 's', 't')", "it't"),
        ("join(createArray('a', 'b'), '/')", "a/b"),
        ("coalesce(null(), 'x')", "x"),
        ("last(split('a,b', ','))", "b"),
    ],
)
def test_expressions(expression: str, value: str) -> None:
    report = import_template(
        {**resource(), "tags": {"probe": f"[{expression}]"}}, variables={"names": {"second": ["two"]}}
    )
    assert report.definitions["shop"]["tags"] == {"probe": value}


@pytest.mark.parametrize(
    "expression",
    [
        "reference('x').y",
        "variables('loop')",
        "concat('a'",
        "parameters('gone')",
        "a" * 10,
        "f(" * 200,
        "createArray(1)[9]",
    ],
)
def test_an_expression_without_a_value_is_reported(expression: str) -> None:
    report = import_template(
        {**resource(), "tags": {"probe": f"[{expression}]"}}, variables={"loop": "[variables('loop')]"}
    )
    assert "tags" not in report.definitions["shop"]
    assert outcomes(report)["shop.tags.probe"] == "not carried over"


def test_bicep_has_to_be_built_first() -> None:
    with pytest.raises(UnreadableSource, match="az bicep build"):
        import_text("app-insights", "resource test 'Microsoft.Insights/webtests@2022-06-15' = {}", name="main.bicep")


@pytest.mark.parametrize("text", ["{}", "[]", '{"name": "x"}', "plain text"])
def test_a_file_without_web_tests(text: str) -> None:
    with pytest.raises(UnreadableSource, match=r"name a \.webtest file"):
        import_text("app-insights", text)


def test_a_template_without_web_tests_is_not_detected() -> None:
    with pytest.raises(UnreadableSource, match="no source recognises"):
        detect_source([text_file(template({"type": "Microsoft.Web/sites", "name": "shop"}))])
