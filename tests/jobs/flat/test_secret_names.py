"""The secret of a flat job that names none is named after the job."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config.secrets.files import secret_variable_name
from jobs.definition import NAME_PATTERN, JobDefinition
from jobs.flat import FlatJob, convert_flat_job
from jobs.flat.conversion import default_secret_name, secret_variable

FIRST_GENERATION = {
    "JobName": "externalApiHealth",
    "Endpoint": "https://api.example.com/health",
    "HttpMethod": "GET",
    "AuthType": "bearer",
    "TimeoutSeconds": 10,
}


def flat(**keys: Any) -> FlatJob:
    return convert_flat_job("externalApiHealth", {"Endpoint": "https://api.example.com/health", **keys})


def warnings(job: FlatJob) -> list[str]:
    return [str(warning.to_problem()) for warning in job.warnings]


@pytest.mark.parametrize(
    ("job", "kebab"),
    [
        ("externalApiHealth", "external-api-health"),
        ("externalAPIHealth", "external-api-health"),
        ("ExternalApiHealth", "external-api-health"),
        ("external_api_health", "external-api-health"),
        ("External API health", "external-api-health"),
        ("external.api.health", "external-api-health"),
        ("external-api-health", "external-api-health"),
        ("EXTERNAL_API_HEALTH", "external-api-health"),
        ("HTTPCheck", "http-check"),
        ("checkHTTP", "check-http"),
        ("HTTP2Check", "http2-check"),
        ("orders2Api", "orders2-api"),
        ("api2", "api2"),
        ("v1.2-probe", "v1-2-probe"),
        ("aB", "a-b"),
        ("a__b", "a-b"),
        ("x", "x"),
        ("7", "7"),
    ],
)
def test_a_job_name_becomes_kebab_case(job: str, kebab: str) -> None:
    assert default_secret_name(job, "token") == f"{kebab}-token"


@given(st.from_regex(NAME_PATTERN, fullmatch=True) | st.text(max_size=200), st.sampled_from(["token", "api-key"]))
def test_every_job_name_gives_a_legal_secret_name(job: str, purpose: str) -> None:
    name = default_secret_name(job, purpose)
    assert re.fullmatch(r"[0-9a-z]+(-[0-9a-z]+)*", name)
    assert len(name) <= 127
    assert name.endswith(f"-{purpose}")


def test_two_long_names_that_are_cut_alike_stay_apart() -> None:
    assert default_secret_name("aB" * 50, "token") != default_secret_name("aB" * 49 + "ac", "token")


@given(st.from_regex(r"[a-z0-9]+(-[a-z0-9]+)*", fullmatch=True))
def test_the_variable_is_the_one_that_secrets_are_read_from(name: str) -> None:
    assert secret_variable(name) == secret_variable_name(name)


def test_the_bearer_job_of_the_first_generation_loads_as_it_is() -> None:
    result = convert_flat_job("externalApiHealth", FIRST_GENERATION)
    assert not result.findings
    definition = JobDefinition.model_validate(result.definition)
    assert definition.check.auth.model_dump() == {"kind": "bearer", "token": {"secret": "external-api-health-token"}}


@pytest.mark.parametrize(
    ("keys", "auth"),
    [
        (
            {"AuthType": "basic"},
            {
                "kind": "basic",
                "username": {"secret": "external-api-health-username"},
                "password": {"secret": "external-api-health-password"},
            },
        ),
        (
            {"AuthType": "basic", "Username": "probe"},
            {"kind": "basic", "username": "probe", "password": {"secret": "external-api-health-password"}},
        ),
        (
            {"AuthType": "basic", "PasswordSecretName": "p"},
            {"kind": "basic", "username": {"secret": "external-api-health-username"}, "password": {"secret": "p"}},
        ),
        ({"AuthType": "apikey"}, {"kind": "api_key", "key": {"secret": "external-api-health-api-key"}}),
        (
            {"AuthType": "bearer", "JobName": "orders.API"},
            {"kind": "bearer", "token": {"secret": "orders-api-token"}},
        ),
    ],
)
def test_each_kind_of_auth_has_names_of_its_own(keys: dict[str, Any], auth: dict[str, Any]) -> None:
    result = flat(**keys)
    assert not result.findings
    assert result.definition["check"]["auth"] == auth


def test_a_warning_reports_which_secret_is_searched_and_where() -> None:
    assert warnings(flat(AuthType="bearer")) == [
        "AuthType: bearer names no secret, so the job uses the secret external-api-health-token: the variable "
        "SCHEDULER_SECRET_EXTERNAL_API_HEALTH_TOKEN, else the file external-api-health-token in secrets_folder, "
        "else that secret in the Key Vault; write TokenSecretName: external-api-health-token to confirm this name"
    ]


def test_basic_without_any_name_has_a_warning_for_each_of_its_secrets() -> None:
    first, second = warnings(flat(authType="Basic"))
    assert first.startswith("authType: basic names no secret for the user name, so the job uses the secret external-")
    assert "UsernameSecretName: external-api-health-username" in first
    assert second.startswith("authType: basic names no secret, so the job uses the secret external-api-health-passwo")


@pytest.mark.parametrize("keys", [{"AuthType": "bearer", "TokenSecretName": "t"}, {"AuthType": "none"}, {}])
def test_a_job_that_names_its_secret_has_no_warning(keys: dict[str, Any]) -> None:
    assert flat(**keys).warnings == ()


def test_a_secret_name_of_the_wrong_type_is_a_problem_and_no_warning() -> None:
    result = flat(AuthType="bearer", TokenSecretName=["t"])
    assert [finding.path for finding in result.findings] == [("TokenSecretName",)]
    assert result.warnings == ()
