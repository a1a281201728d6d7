from __future__ import annotations

import re
from typing import Any

import pytest
from pydantic import ValidationError

from jobs.definition import JobDefinition
from jobs.problems import validation_problems
from jobs.targets import HttpTarget, JsonBody, TextBody, is_invalid_header_value

URL = "https://checkout.internal/health"


def problem(**target: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        HttpTarget.model_validate({"url": URL, **target})
    (one,) = validation_problems(caught.value, HttpTarget)
    return str(one)


@pytest.mark.parametrize(
    "url",
    [f"{URL}\n", f" {URL}", f"{URL} ", "https://check out.internal/", "https://checkout.internal/\ta", "https://a\0b/"],
)
def test_a_url_with_blanks_or_control_characters_where_none_can_be_is_refused(url: str) -> None:
    """YAML's folded texts end with a line break."""
    assert "contains a line break, a control character or a blank" in problem(url=url)


def test_a_blank_inside_a_path_is_accepted() -> None:
    assert HttpTarget(url=f"{URL}/a b?c=d e").url == f"{URL}/a b?c=d e"


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"not a name": "x"}, "'not a name' is not a valid header name"),
        ({"": "x"}, "is not a valid header name"),
        ({"X-Grüße": "x"}, "is not a valid header name"),
        ({"Content-Length": "5"}, "Content-Length controls the connection"),
        ({"transfer-encoding": "chunked"}, "transfer-encoding controls the connection"),
        ({"X-Note": "one\r\nX-Injected: two"}, "the value of X-Note has a line break"),
        ({"Metadata": "true"}, "Metadata is for endpoints of the cloud platform, which are not allowed: remove it"),
        ({"x-identity-header": "abc"}, "x-identity-header is for endpoints of the cloud platform"),
        ({"Metadata-Flavor": "Google"}, "Metadata-Flavor is for endpoints of the cloud platform"),
        ({"X-aws-ec2-metadata-token": "abc"}, "X-aws-ec2-metadata-token is for endpoints of the cloud platform"),
        (
            {"Host": "a.internal, b.internal"},
            "the value of Host is not a host: write a name, such as checkout.internal",
        ),
        ({"host": "a.internal/path"}, "the value of host is not a host"),
        ({"Host": "user@a.internal"}, "the value of Host is not a host"),
        ({"Host": "a.internal b.internal"}, "the value of Host is not a host"),
        ({"Host": {"secret": "x"}}, "the value of Host is not a host"),
        (
            {"X-Note": "blank "},
            "the value of X-Note has a line break, a control character, or a leading or trailing blank",
        ),
    ],
    ids=str,
)
def test_a_header_that_must_not_be_sent_is_refused(headers: dict[str, Any], message: str) -> None:
    assert message in problem(headers=headers)


def test_the_value_of_a_refused_header_is_not_repeated() -> None:
    assert "t0ken" not in problem(headers={"Authorization": "Bearer t0ken\n"})


def test_headers_that_http_allows_are_accepted() -> None:
    headers: dict[str, Any] = {"X-Note": "grüß\tdich", "x_y.z!": "", "Host": "other.internal"}
    assert HttpTarget(url=URL, headers=headers).headers == headers


@pytest.mark.parametrize(("value", "unfit"), [("a b", False), ("", False), ("a\nb", True), (" a", True), ("a\0", True)])
def test_a_value_is_fit_for_a_header_or_not(value: str, unfit: bool) -> None:
    assert is_invalid_header_value(value) is unfit


@pytest.mark.parametrize("body", [TextBody(text="x"), JsonBody(json={"a": 1})], ids=["text", "json"])
def test_a_body_that_is_a_model_already_is_read_as_it_is(body: TextBody | JsonBody) -> None:
    assert HttpTarget(url=URL, body=body).body is body


def test_an_api_key_needs_a_name_that_a_header_may_have() -> None:
    reported = problem(auth={"kind": "api_key", "key": {"secret": "k"}, "name": "X Key"})
    assert "the name of the header or parameter" in reported


@pytest.mark.parametrize("name", ["Metadata", "X-IDENTITY-HEADER", "Transfer-Encoding", "Host"])
def test_an_api_key_goes_in_no_header_that_must_not_be_sent(name: str) -> None:
    assert name in problem(auth={"kind": "api_key", "key": {"secret": "k"}, "name": name})
    in_query = {"kind": "api_key", "key": {"secret": "k"}, "name": name, "place": "query"}
    assert HttpTarget.model_validate({"url": URL, "auth": in_query}).auth.kind == "api_key"


@pytest.mark.parametrize("host", ["other.internal", "other.internal:8443", "10.0.0.5", "[::1]:80", "my_host"])
def test_a_virtual_host_may_be_named(host: str) -> None:
    assert HttpTarget(url=URL, headers={"Host": host}).headers == {"Host": host}


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("checkout", "is not an http URL: write it like"),
        ("/health", "is not an http URL: write it like"),
        ("mailto:checkout@example.com", "is not an http URL"),
        ("ftp://checkout.internal/", "is not an http URL"),
        ("http:///health", "is not an http URL"),
        ("http://checkout.internal:99999/", "is not a URL"),
        ("http://checkout.internal:0/", "port 0 cannot be connected to"),
        ("http://user:pass@checkout.internal/", "a URL must not carry credentials"),
        ("user:pass@checkout.internal/?key=hidden", "'...@checkout.internal/' is not an http URL"),
    ],
)
def test_a_url_that_cannot_be_requested_is_refused_with_a_remedy(url: str, message: str) -> None:
    assert message in problem(url=url)


@pytest.mark.parametrize(
    "url",
    ["checkout.internal", "checkout:8080/health", "127.0.0.1:8080", "[::1]:8080/health", "localhost"],
)
def test_a_url_without_a_scheme_is_refused_with_both_that_may_be_meant(url: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(f"write https://{url}, or http://{url} where")):
        HttpTarget(url=url)


def test_a_url_without_a_scheme_is_refused_without_repeating_its_query() -> None:
    output = problem(url="checkout.internal/health?key=hidden")
    assert "write https://checkout.internal/health, or" in output
    assert "hidden" not in output


@pytest.mark.parametrize(
    ("url", "placeholder"),
    [
        ("https://${HOST}/health", "${HOST}"),
        ("https://${HOST}:8443/health", "${HOST}"),
        ("https://checkout.internal:${PORT}/health", "${PORT}"),
        ("${BASE_URL}/health", "${BASE_URL}"),
        ("https://$HOST/health", "$HOST"),
        ("https://%HOST%/health", "%HOST%"),
        ("https://{{ host }}/health", "{{ host }}"),
        ("https://$(HOST)/health", "$(HOST)"),
        ("https://<host>/health", "<host>"),
    ],
)
def test_a_placeholder_in_a_host_is_refused_as_nothing_fills_it_in(url: str, placeholder: str) -> None:
    assert f"the placeholder {placeholder} is not replaced: write the host itself" in problem(url=url)


@pytest.mark.parametrize(
    "url", ["https://[fe80::1%25eth0]/", "https://a.example/?$filter=a%20eq%20(b)", "https://a.example/%E4ABC%20"]
)
def test_what_only_resembles_a_placeholder_is_a_url(url: str) -> None:
    assert HttpTarget(url=url).url == url


@pytest.mark.parametrize(
    "check",
    [
        {"kind": "tcp", "host": "${HOST}", "port": 1},
        {"kind": "tls", "host": "%HOST%"},
        {"kind": "dns", "name": "$HOST"},
    ],
)
def test_a_placeholder_in_the_host_of_another_kind_is_refused(check: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="is not replaced"):
        JobDefinition.model_validate({"name": "a", "check": check})


def test_the_endpoint_is_the_url_without_what_may_be_secret() -> None:
    assert HttpTarget(url=URL + "?code=hidden#part").endpoint == URL


@pytest.mark.parametrize(("method", "idempotent"), [("GET", True), ("PUT", True), ("POST", False), ("PATCH", False)])
def test_a_request_may_be_repeated_by_its_method(method: Any, idempotent: bool) -> None:
    assert HttpTarget(url=URL, method=method).idempotent is idempotent
