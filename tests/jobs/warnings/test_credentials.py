"""Credentials that stand in a job file as plain text."""

from __future__ import annotations

from typing import Any

import pytest

from tests.jobs.warnings.helpers import warned

VALUE = "hunter2-hunter2-hunter2"


def check(**keys: Any) -> dict[str, Any]:
    return {"url": "https://a.example/", **keys}


def test_a_bearer_token_in_a_header_is_reported_with_the_form_to_write() -> None:
    assert warned(check=check(headers={"Authorization": f"Bearer {VALUE}"})) == [
        "check.headers.Authorization: contains the credential Authorization as plain text, "
        "readable for everyone with access to the file; "
        "write auth: {kind: bearer, token: {secret: NAME}}; in the flat form AuthType: bearer"
    ]


def test_a_basic_header_is_reported_with_the_form_to_write() -> None:
    (warning,) = warned(check=check(headers={"authorization": f"Basic {VALUE}"}))
    assert "write auth: {kind: basic, username: NAME, password: {secret: NAME}}" in warning


@pytest.mark.parametrize(
    "name",
    ["X-API-Key", "x-functions-key", "Ocp-Apim-Subscription-Key", "apikey", "X-Auth-Token", "Cookie", "DD-API-KEY"],
)
def test_a_key_in_a_header_is_reported_and_never_repeated(name: str) -> None:
    (warning,) = warned(check=check(headers={name: VALUE}))
    assert warning.startswith(f"check.headers.{name}: contains the credential {name} as plain text")
    assert warning.endswith(f"write {name}: {{secret: NAME}}")
    assert VALUE not in warning


@pytest.mark.parametrize(
    ("headers"),
    [
        {"Accept": "application/json"},
        {"X-CSRF-Token": "Fetch"},
        {"Authorization": "none"},
        {"X-API-Key": {"secret": "k"}},
        {"X-Request-Id": VALUE},
        {"Idempotency-Key": VALUE},
        {"X-Token-Type": "urn:ietf:params:oauth:token-type:jwt"},
    ],
)
def test_other_headers_have_no_warning(headers: dict[str, Any]) -> None:
    assert warned(check=check(headers=headers)) == []


@pytest.mark.parametrize("name", ["code", "sig", "api_key", "access_token", "password", "client_secret"])
def test_a_key_in_the_query_is_reported_wherever_it_stands(name: str) -> None:
    (warning,) = warned(check=check(query={name: VALUE}))
    assert warning.startswith(f"check.query.{name}: contains the credential {name}")
    (warning,) = warned(check={"url": f"https://a.example/?a=b&{name}={VALUE}"})
    assert warning == (
        f"check.url: contains the credential {name} as plain text, readable for everyone with access to the file; "
        f"move it to query: {{{name}: {{secret: NAME}}}}"
    )


@pytest.mark.parametrize("query", ["code=DE", "country=DE&code=EUR", "page=1", "monkey=banana-banana"])
def test_other_parameters_have_no_warning(query: str) -> None:
    assert warned(check={"url": f"https://a.example/?{query}"}) == []


def test_a_password_in_a_form_or_in_json_is_reported() -> None:
    (warning,) = warned(check=check(method="POST", body={"form": {"user": "probe", "password": VALUE}}))
    assert warning.startswith("check.body.form.password: contains the credential password")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"json": {"user": "probe", "password": VALUE}}, "body.json.password"),
        ({"json": [{"login": {"client_secret": VALUE}}]}, "body.json[0].login.client_secret"),
        ({"text": f'{{"login": {{"apiKey": "{VALUE}"}}}}'}, "body.text"),
    ],
)
def test_a_credential_in_json_is_reported_wherever_it_stands(body: dict[str, Any], where: str) -> None:
    (warning,) = warned(check=check(method="POST", body=body))
    assert warning.startswith(f"check.{where}: contains the credential ")
    assert warning.endswith("send it in a form, a header or auth, which can reference a secret")
    assert VALUE not in warning


@pytest.mark.parametrize(
    "text", ["{not json", "[" * 5000, '{"password": "short"}', '{"password": 12345678}', "password=x"]
)
def test_a_text_without_a_credential_in_json_has_no_warning(text: str) -> None:
    assert warned(check=check(method="POST", body={"text": text})) == []


def test_a_saved_value_in_a_step_is_no_credential_and_a_literal_one_is() -> None:
    steps = [
        {"name": "a", "url": "https://a.example/", "save": {"token": {"json": "$.t"}}},
        {"name": "b", "url": "/b", "headers": {"Authorization": "Bearer ${token}"}},
        {"name": "c", "url": "/c", "headers": {"Authorization": f"Bearer {VALUE}"}},
    ]
    (warning,) = warned(check={"kind": "steps", "steps": steps})
    assert warning.startswith("check.steps[2].headers.Authorization: ")
