"""Web tests in XML: one request as an http job, several as steps; and hostile XML."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from importers.running import run_import
from importers.source_tree import SourceFile, UnreadableSource
from jobs.expectations.engines.regular_expressions import compile_pattern
from tests.config.importers.app_insights.samples import import_xml, request, rule, sample, web_test, xml_job
from tests.config.importers.importing import details, import_text, outcomes, read_jobs

TWICE = request("https://shop.example/second")


def test_steps_of_a_sign_in() -> None:
    job = sample("sign-in.webtest").definitions["sign-in-and-order"]
    steps = job["check"]["steps"]
    assert [step["name"] for step in steps] == [
        "Login form",
        "2 POST /login",
        "3 GET",
        "4 POST /api/orders/{{OrderId}}",
    ]
    assert steps[1]["body"]["form"]["password"] == {"secret": "sign-in-and-order-password"}
    assert steps[1]["body"]["form"]["__VIEWSTATE"] == "${HIDDEN1___VIEWSTATE}"
    assert steps[2]["url"] == "${Next_Page}"
    assert steps[3]["url"] == "https://shop.example/api/orders/${OrderId}"
    assert steps[3]["body"]["text"] == '{"price": "$$5"}'
    assert job["timeout"]["attempt"] == "1m20s"


def test_the_timeout_of_the_test_applies() -> None:
    assert xml_job(request(Timeout="20"), Timeout="90")["timeout"]["attempt"] == "1m30s"


def test_a_schedule_is_added_with_a_note() -> None:
    report = import_xml(request())
    assert report.definitions["shop"]["schedule"] == {"every": "5m"}
    assert "has no schedule" in report.notes[0]


def test_a_status_of_400_or_more_fails_without_an_expected_one() -> None:
    assert xml_job(request())["expect"] == [{"status": "200-399"}]


@pytest.mark.parametrize(
    ("kind", "parameters", "entry"),
    [
        ("ValidationRuleFindText", {"FindText": "ok"}, {"body_contains": "ok"}),
        ("ValidationRuleFindText", {"FindText": "o.", "IgnoreCase": "True"}, {"body_matches": r"(?i)o\."}),
        ("ValidationRuleFindText", {"FindText": "o.", "UseRegularExpression": "True"}, {"body_matches": "o."}),
        ("ValidationRuleFindText", {"FindText": "x", "PassIfTextFound": "False"}, {"body_not_contains": "x"}),
        ("ValidationRuleRequestTime", {"MaxRequestTime": "800"}, {"response_time_below": "800ms"}),
        ("ValidationRuleRequiredTag", {"RequiredTagName": "form"}, {"body_matches": r"(?is)(?:<form\b.*?){1}"}),
    ],
)
def test_validation_rules(kind: str, parameters: dict[str, str], entry: dict[str, Any]) -> None:
    assert xml_job(request(content=rule(kind, parameters)))["expect"][1] == entry


@pytest.mark.parametrize(
    ("kind", "parameters", "text", "value"),
    [
        ("ExtractText", {"StartsWith": "id=(", "EndsWith": ")"}, "id=(a) id=(b)", "a"),
        ("ExtractText", {"StartsWith": "id=", "EndsWith": ";", "Index": "1"}, "id=a; id=b;", "b"),
        ("ExtractText", {"StartsWith": "ID=", "EndsWith": ";", "IgnoreCase": "True"}, "id=a;", "a"),
        ("ExtractRegularExpression", {"RegularExpression": r"n(\d+)"}, "n12", "n12"),
        ("ExtractRegularExpression", {"RegularExpression": r"n(\d+)", "UseGroups": "True"}, "n12", "12"),
        ("ExtractRegularExpression", {"RegularExpression": r"\d+", "Index": "1"}, "12 and 34", "34"),
        ("ExtractFormField", {"Name": "csrf"}, '<input type="hidden" name="csrf" value="v1">', "v1"),
        (
            "ExtractAttributeValue",
            {"TagName": "a", "AttributeName": "href", "MatchAttributeName": "id", "MatchAttributeValue": "next"},
            '<a href="/x"><a id="next" href="/y">',
            "/y",
        ),
    ],
)
def test_an_extraction_rule_finds_the_value(kind: str, parameters: dict[str, str], text: str, value: str) -> None:
    first = request(content=rule(kind, parameters, variable="v"))
    job = xml_job(first, request("https://shop.example/{{v}}"))
    pattern = job["check"]["steps"][0]["save"]["v"]["regex"]
    found = re.search(pattern, text)
    assert found is not None
    assert (found[1] if found.groups() else found[0]) == value
    assert compile_pattern(pattern) is not None


def test_a_value_of_a_header() -> None:
    first = request(content=rule("ExtractHttpHeader", {"Header": "ETag"}, variable="2nd tag"))
    steps = xml_job(
        first, request("https://shop.example/", "", Method="PUT"), request("https://shop.example/{{2nd tag}}")
    )
    assert steps["check"]["steps"][0]["save"] == {"v_2nd_tag": {"header": "ETag"}}
    assert steps["check"]["steps"][2]["url"] == "https://shop.example/${v_2nd_tag}"


def test_a_rule_of_an_unknown_class_is_lost_alone() -> None:
    report = import_xml(request(content=rule("Own", {"A": "b"})))
    assert report.definitions["shop"]["expect"] == [{"status": "200-399"}]
    assert "not known" in details(report)["WebTest.Items[0].Request.ValidationRules[0].ValidationRule.Classname"]


@pytest.mark.parametrize(
    ("items", "why"),
    [
        ((request("https://shop.example/{{Gone}}"),), "variable Gone has no value"),
        (("<Loop />", request()), "an element Loop"),
        (("<IncludedWebTest />", request()), "an element IncludedWebTest"),
        ((), "has no requests"),
        ((request(content=rule("Own", {}, variable="v")), request("https://shop.example/{{v}}")), "variable v"),
        ((request(content="<FormPostHttpBody><FileUploadParameter /></FormPostHttpBody>"),), "FileUploadParameter"),
        ((request("ftp://shop.example/"),), "not an http URL"),
    ],
)
def test_a_test_that_would_do_something_else_is_not_imported(items: tuple[str, ...], why: str) -> None:
    report = import_xml(*items)
    assert report.definitions == {}
    assert any(why in text for text in details(report).values())


def test_a_context_parameter_that_is_a_secret_is_written_nowhere() -> None:
    extra = '<ContextParameters><ContextParameter Name="ApiKey" Value="k3y-in-the-url" /></ContextParameters>'
    report = import_xml(request("https://shop.example/{{ApiKey}}/status"), extra=extra)
    assert "k3y-in-the-url" not in f"{report.text}{report.to_json()}"
    assert report.definitions == {}


def test_credentials_of_the_test_are_those_of_each_request() -> None:
    job = xml_job(request(), TWICE, CredentialUserName="probe", CredentialPassword="pa55-word")
    assert {step["auth"]["username"] for step in job["check"]["steps"]} == {"probe"}


def test_pauses_proxies_and_plug_ins_are_lost() -> None:
    report = import_xml(
        request(ThinkTime="5"),
        TWICE,
        extra="<WebTestPlugins><WebTestPlugin Classname='a' /></WebTestPlugins>",
        Proxy="http://proxy:8080",
    )
    lost = {key for key, outcome in outcomes(report).items() if outcome == "not carried over"}
    assert lost == {
        "WebTest.Items[0].Request.ThinkTime",
        "WebTest.Proxy",
        "WebTest.WebTestPlugins[0].WebTestPlugin.Classname",
    }


def test_two_steps_of_one_name_are_numbered() -> None:
    job = xml_job(request(ReportingName="same"), request(ReportingName="same"))
    assert [step["name"] for step in job["check"]["steps"]] == ["same", "same (2)"]


def test_lines_of_the_file_are_reported() -> None:
    text = web_test("\n\n", request(), TWICE)
    report = import_text("app-insights", text, name="shop.webtest")
    assert {entry.line for entry in report.entries if "Items[0]" in entry.key} == {3}
    read_jobs(report)


BOMB = '<!DOCTYPE b [<!ENTITY a "x"><!ENTITY c "&a;&a;">]><WebTest Name="&c;" />'
FILE = '<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/hostname">]><WebTest Name="&a;" />'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB, "has a document type"),
        (FILE, "has a document type"),
        ("<!DOCTYPE WebTest><WebTest />", "has a document type"),
        ("<WebTest>", "is not valid XML: no element found"),
        ("<WebTest Name='a' Name='b' />", "duplicate attribute"),
        ("<WebTest>&undefined;</WebTest>", "undefined entity"),
        ("<a>" * 5000, "levels"),
        ("<WebTest>" + "<a />" * 60000 + "</WebTest>", "elements"),
        ("<Other />", "has no element WebTest"),
        ("<?xml version='1.0' encoding='klingon'?><WebTest />", "encoding"),
    ],
)
def test_hostile_xml_is_refused_with_its_reason(text: str, message: str) -> None:
    with pytest.raises(UnreadableSource, match=message):
        import_text("app-insights", text, name="shop.webtest")


def test_utf_16_as_visual_studio_can_write_it() -> None:
    text = f"<?xml version='1.0' encoding='utf-16'?>{web_test(request('https://shop.example/ä'))}"
    report = run_import("app-insights", [SourceFile(Path("shop.webtest"), "shop.webtest", text.encode("utf-16"))])
    assert report.definitions["shop"]["check"]["url"] == "https://shop.example/ä"
