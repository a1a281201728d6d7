"""A secret never goes over plain http unless the job says so."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jobs.warnings.helpers import refused, warned

SECRET = {"secret": "t"}
BEARER = {"kind": "bearer", "token": SECRET}
SENTENCE = "sends secrets over plain http, where others on the network can read them"


def check(url: str = "http://a.example/", **keys: Any) -> dict[str, Any]:
    return {"url": url, **keys}


@pytest.mark.parametrize(
    "keys",
    [
        {"auth": BEARER},
        {"auth": {"kind": "basic", "username": "u", "password": SECRET}},
        {"auth": {"kind": "api_key", "key": SECRET}},
        {"auth": {"kind": "managed_identity", "scope": "api://a/.default"}},
        {"headers": {"X-Key": SECRET}},
        {"query": {"key": SECRET}},
        {"method": "POST", "body": {"text": SECRET}},
        {"method": "POST", "body": {"form": {"a": "b", "password": SECRET}}},
    ],
    ids=str,
)
def test_a_request_with_a_secret_is_refused_over_plain_http_alone(keys: dict[str, Any]) -> None:
    assert refused(check=check(**keys)) == [
        f"check.url: {SENTENCE}; write https, or allow_plain_http: true (AllowPlainHttp in the flat form) "
        "on a trusted network"
    ]
    assert refused(check=check(**keys, allow_plain_http=True)) == []
    assert refused(check=check("https://a.example/", **keys)) == []


def test_a_request_without_a_secret_may_go_over_plain_http() -> None:
    assert refused(check=check(headers={"Accept": "text/plain"}, body={"json": {"a": "b"}}, method="POST")) == []


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "127.9.9.9", "[::1]:80", "localhost", "LOCALHOST.", "a.localhost"])
def test_loopback_is_no_network(host: str) -> None:
    assert refused(check=check(f"http://{host}/", auth=BEARER)) == []


@pytest.mark.parametrize("host", ["10.0.0.1", "localhost.example", "0.0.0.0", "[::ffff:10.0.0.1]", "127.0.0.1.example"])
def test_other_hosts_are_a_network(host: str) -> None:
    assert len(refused(check=check(f"HTTP://{host}/", auth=BEARER))) == 1


def test_a_token_endpoint_gets_its_secret_over_https_alone() -> None:
    auth = {"kind": "oauth2", "token_url": "http://login.example/token", "client_id": "probe", "client_secret": SECRET}
    (refusal,) = refused(check=check("https://a.example/", auth=auth))
    assert refusal.startswith("check.auth.token_url: sends the client secret over plain http")
    assert refused(check=check("https://a.example/", auth=auth, allow_plain_http=True)) == []


def steps(*more: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "steps", "steps": [{"name": str(number), **step} for number, step in enumerate(more)]}


def test_a_step_at_the_host_of_the_one_before_has_its_scheme() -> None:
    found = refused(check=steps({"url": "http://a.example/"}, {"url": "/b", "headers": {"X-Key": SECRET}}))
    assert found[0].startswith("check.steps[1].url: sends secrets")
    assert refused(check=steps({"url": "https://a.example/"}, {"url": "/b", "headers": {"X-Key": SECRET}})) == []


def test_a_value_that_a_step_saved_as_a_secret_is_one() -> None:
    save = {"token": {"json": "$.t"}, "number": {"json": "$.n"}}
    first = {"url": "https://a.example/", "save": save}
    assert len(refused(check=steps(first, {"url": "http://a.example/${token}"}))) == 1
    assert refused(check=steps(first, {"url": "http://a.example/${number}"})) == []
    shown = {**first, "save": {"token": {"json": "$.t", "secret": False}}}
    assert refused(check=steps(shown, {"url": "http://a.example/${token}"})) == []


def test_each_step_reports_for_itself_that_plain_http_will_do() -> None:
    first = {"url": "http://a.example/", "auth": BEARER, "allow_plain_http": True}
    (refusal,) = refused(check=steps(first, {"url": "/b", "auth": BEARER}))
    assert refusal.startswith("check.steps[1].url")


def test_a_url_that_an_answer_gives_is_left_to_the_run() -> None:
    first = {"url": "https://a.example/", "save": {"next": {"header": "location"}}}
    assert refused(check=steps(first, {"url": "${next}", "auth": BEARER}, {"url": "/c", "auth": BEARER})) == []


def test_a_url_of_a_step_that_cannot_be_read_is_left_to_the_run() -> None:
    assert refused(check=steps({"url": "https://a.example/"}, {"url": "//[x", "auth": BEARER})) == []


def test_a_proxy_gets_its_password_over_plain_http_which_is_a_warning() -> None:
    proxy = {"proxy": "http://proxy.example:3128", "proxy_auth": {"username": "u", "password": SECRET}}
    (warning,) = warned(check=check("https://a.example/", **proxy))
    assert warning.startswith("check.proxy_auth: sends the password to the proxy over plain http")
    assert warned(check=check("https://a.example/", **proxy, allow_plain_http=True)) == []
