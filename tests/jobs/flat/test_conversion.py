"""The flat form of a job means the same in the full form."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.definition import JobDefinition
from jobs.flat import FlatJob, convert_flat_job, is_flat_job
from jobs.flat.reading import FLAT_KEY_SPELLINGS
from jobs.schedules import parse_schedule

DESIGN = {
    "JobName": "databaseHealth",
    "Endpoint": "https://db.example/health",
    "HttpMethod": "GET",
    "AuthType": "none",
    "TimeoutSeconds": 10,
}


def flat(**keys: Any) -> FlatJob:
    return convert_flat_job("job", {"Endpoint": "https://a.example/", **keys})


def job(**keys: Any) -> JobDefinition:
    result = flat(**keys)
    assert not result.findings
    return JobDefinition.model_validate(result.definition)


def reported(**keys: Any) -> list[str]:
    return [str(finding.to_problem()) for finding in flat(**keys).findings]


def test_the_form_that_existing_deployments_have_is_read_as_it_is() -> None:
    result = convert_flat_job("databaseHealth", DESIGN)
    definition = JobDefinition.model_validate(result.definition)
    assert not result.findings
    assert (definition.name, definition.check.url, definition.check.method) == (
        "databaseHealth",
        "https://db.example/health",
        "GET",
    )
    assert definition.check.auth.kind == "none"
    assert definition.timeout.attempt == 10.0
    assert definition.schedule is None


@pytest.mark.parametrize("change", [str.lower, str.upper, lambda key: key.replace("Secret", "_secret-")])
def test_case_and_separators_of_keys_do_not_matter(change: Any) -> None:
    keys = {"JobName": "a", "Endpoint": "https://a.example/", "AuthType": "Bearer", "TokenSecretName": "t"}
    result = convert_flat_job("a", {change(key): value for key, value in keys.items()})
    assert not result.findings
    assert result.definition["check"]["auth"] == {"kind": "bearer", "token": {"secret": "t"}}


def test_a_job_without_job_name_is_named_by_its_key() -> None:
    assert job().name == "job"


def test_job_name_goes_before_the_key() -> None:
    assert job(JobName="other").name == "other"


@pytest.mark.parametrize("empty", [None, ""])
def test_what_is_empty_counts_as_absent(empty: object) -> None:
    definition = job(JobName=empty, AuthType="none", SecretName=empty, Password=empty, Headers=empty, Schedule=empty)
    assert definition == job(AuthType="none")


def test_the_runs_deadline_leaves_room_for_every_attempt_and_wait() -> None:
    timeout = job(TimeoutSeconds="10", MaxRetries=2, RetryDelaySeconds=4, RetryBackoff="linear").timeout
    assert (timeout.attempt, timeout.run) == (10.0, 3 * 10 + 4 + 8)


def test_the_runs_deadline_has_room_without_any_number_given() -> None:
    timeout = job().timeout
    assert timeout.run == 3 * timeout.attempt + 0.5 + 1.0


def test_the_runs_deadline_never_passes_the_longest_run() -> None:
    assert job(TimeoutSeconds=400).timeout.run == 480.0


def test_retries_follow_the_first_attempt() -> None:
    assert job(MaxRetries=0).retry.attempts == 1
    assert job(RetryCount="2").retry.attempts == 3


@pytest.mark.parametrize(
    ("given_text", "backoff"), [("Fixed", "constant"), ("LINEAR", "linear"), ("exponential", "exponential")]
)
def test_backoff_names(given_text: str, backoff: str) -> None:
    assert job(RetryBackoff=given_text).retry.backoff == backoff


def test_a_delay_longer_than_the_longest_wait_lengthens_that() -> None:
    retry = job(RetryDelaySeconds=30).retry
    assert (retry.initial, retry.max) == (30.0, 30.0)


def test_a_schedule_is_on_the_clock_of_the_zone_that_is_named() -> None:
    schedule = job(Schedule="0 0 3 * * *", timezone="Europe/Berlin").schedule
    assert schedule == parse_schedule({"cron": "0 0 3 * * *", "timezone": "Europe/Berlin"})


@pytest.mark.parametrize("key", ["Schedule", "CronExpression", "Cron", "ScheduleExpression"])
def test_a_schedule_may_be_spelt_in_each_known_way(key: str) -> None:
    schedule = job(**{key: "*/5 * * * * *"}).schedule
    assert schedule is not None
    assert schedule.spec == "*/5 * * * * *"


def test_interval_seconds_is_an_interval() -> None:
    schedule = job(IntervalSeconds="90").schedule
    assert schedule is not None
    assert schedule.spec == {"every": "1m30s"}


@pytest.mark.parametrize(
    ("keys", "auth"),
    [
        ({"AuthType": "none", "SecretName": "left-over"}, None),
        (
            {"AuthType": "Basic", "Username": "u", "PasswordSecretName": "p"},
            {"kind": "basic", "username": "u", "password": {"secret": "p"}},
        ),
        (
            {"AuthType": "basic", "UsernameSecretName": "u", "SecretName": "p"},
            {"kind": "basic", "username": {"secret": "u"}, "password": {"secret": "p"}},
        ),
        ({"AuthType": "bearer", "AuthSecretName": "t"}, {"kind": "bearer", "token": {"secret": "t"}}),
        ({"AuthType": "Bearer", "KeyVaultSecretName": "t"}, {"kind": "bearer", "token": {"secret": "t"}}),
        (
            {"AuthType": "ApiKey", "ApiKeySecretName": "k", "ApiKeyHeaderName": "X-Key"},
            {"kind": "api_key", "key": {"secret": "k"}, "name": "X-Key"},
        ),
        ({"AuthType": "api_key", "SecretName": "k"}, {"kind": "api_key", "key": {"secret": "k"}}),
        (
            {"AuthType": "ManagedIdentity", "Scope": "api://a/.default"},
            {"kind": "managed_identity", "scope": "api://a/.default"},
        ),
        (
            {"AuthType": "managed-identity", "Resource": "https://vault.azure.net/"},
            {"kind": "managed_identity", "scope": "https://vault.azure.net/.default"},
        ),
    ],
)
def test_each_kind_of_auth(keys: dict[str, Any], auth: dict[str, Any] | None) -> None:
    result = flat(**keys)
    assert not result.findings
    assert result.definition["check"].get("auth") == auth
    JobDefinition.model_validate(result.definition)


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"TokenSecretName": "t"}, "AuthType: is missing, and TokenSecretName is given; one of none, basic, bearer"),
        ({"AuthType": "oauth"}, "AuthType: 'oauth' is not allowed"),
        ({"AuthType": "bear", "SecretName": "t"}, "AuthType: 'bear' is not allowed, did you mean bearer?"),
        ({"TimeoutSeconds": "ten"}, "TimeoutSeconds: 'ten' is not a number"),
        ({"TimeoutSeconds": True}, "TimeoutSeconds: true is not a number"),
        ({"TimeoutSeconds": "nan"}, "TimeoutSeconds: 'nan' is not a number"),
        ({"TimeoutSeconds": 0}, "TimeoutSeconds: 0 must be more than 0"),
        ({"TimeoutSeconds": 600}, "TimeoutSeconds: 600 is too large: at most 480 seconds"),
        ({"MaxRetries": 20}, "MaxRetries: 20 is out of range: 0 to 19"),
        ({"MaxRetries": 1.5}, "MaxRetries: 1.5 is not a whole number"),
        ({"RetryDelaySeconds": -1}, "RetryDelaySeconds: -1 is too small"),
        ({"RetryBackoff": "expo"}, "RetryBackoff: 'expo' is not allowed, did you mean exponential?"),
        ({"Enabled": "perhaps"}, "Enabled: 'perhaps' is not true or false"),
        ({"Headers": ["a"]}, "Headers: a list is not a mapping of names to texts"),
        ({"Description": {}}, "Description: a mapping is not a text"),
        ({"Tags": ["payments"]}, "Tags: 'payments' is not a tag"),
        ({"Schedule": "x", "IntervalSeconds": 5}, "IntervalSeconds: and Schedule are both given"),
        (
            {"Schedule": "0 3 * * *", "TimeZone": "Europe/Berln"},
            "TimeZone: 'Europe/Berln' is not an IANA time zone, did",
        ),
        ({"IntervalSeconds": 5, "TimeZone": "Europe/Berlin"}, "TimeZone: belongs to Schedule"),
        ({"Url": "https://other.example/"}, "Url: is the same key as Endpoint; remove one of them"),
        ({"CircuitBreakerTimeoutSeconds": 5}, "CircuitBreakerThreshold: is missing"),
        ({"Endpont": "x"}, "Endpont: unknown key, did you mean Endpoint?"),
        ({"Zzzz": "x"}, "Zzzz: unknown key; known keys: JobName, Description"),
    ],
)
def test_what_is_wrong_is_reported_at_the_flat_key(keys: dict[str, Any], sentence: str) -> None:
    (text,) = reported(**keys)
    assert text.startswith(sentence)


def test_a_missing_endpoint_is_reported() -> None:
    assert [str(finding.to_problem()) for finding in convert_flat_job("a", {"AuthType": "none"}).findings] == [
        "Endpoint: is missing; the URL to call"
    ]


@pytest.mark.parametrize("key", ["Password", "Token", "ApiKey", "api_key", "ClientSecret", "AccessToken"])
def test_a_secret_in_the_file_is_refused_and_never_repeated(key: str) -> None:
    (text,) = reported(**{key: "hunter2"})
    assert text.startswith(f"{key}: must not contain a secret value; store it in Key Vault")
    assert "SecretName: <NAME>" in text
    assert "hunter2" not in text


def test_expectations_of_the_flat_form() -> None:
    result = flat(ExpectedStatusCodes="200, 204", ExpectedBody="ok", MaxResponseTimeMs="800")
    assert result.definition["expect"] == [
        {"status": ["200", "204"]},
        {"body_contains": "ok"},
        {"response_time_below": "800ms"},
    ]
    JobDefinition.model_validate(result.definition)


@pytest.mark.parametrize("status", [200, "200", "200-299", [200, 204]])
def test_an_expected_status_in_each_form(status: object) -> None:
    assert job(ExpectedStatus=status).expect


def test_a_body_that_is_an_object_is_sent_as_json() -> None:
    assert flat(Body={"a": 1}, HttpMethod="post").definition["check"]["body"] == {"json": {"a": 1}}


def test_a_body_that_is_a_text_is_sent_as_it_is() -> None:
    check = flat(Body="<a/>", ContentType="text/xml").definition["check"]
    assert check["body"] == {"text": "<a/>", "content_type": "text/xml"}


@pytest.mark.parametrize("text", ['{"a": 1}', ' [1, "b"]\n'])
def test_a_body_that_is_json_as_a_text_is_sent_as_json(text: str) -> None:
    check = flat(Body=text).definition["check"]
    assert check["body"] == {"text": text, "content_type": "application/json"}
    check = flat(Body=text, ContentType="text/plain").definition["check"]
    assert check["body"] == {"text": text, "content_type": "text/plain"}


@pytest.mark.parametrize("text", ["ping", "{not json}", "5", '"a"', "[" * 100_000])
def test_a_body_that_is_no_document_is_sent_as_a_text(text: str) -> None:
    assert flat(Body=text).definition["check"]["body"] == {"text": text}


def test_a_content_type_without_a_text_becomes_a_header() -> None:
    check = flat(Body={"a": 1}, ContentType="application/vnd.api+json", Headers={"A": 1}).definition["check"]
    assert check["headers"] == {"A": "1", "Content-Type": "application/vnd.api+json"}


def test_a_content_type_does_not_replace_the_header_that_exists() -> None:
    check = flat(Body={"a": 1}, ContentType="x/y", Headers={"content-type": "a/b"}).definition["check"]
    assert check["headers"] == {"content-type": "a/b"}


def test_the_remaining_keys() -> None:
    definition = job(
        HttpMethod="post",
        QueryParameters={"a": True, "b": None},
        VerifySsl="false",
        FollowRedirects=False,
        Enabled="False",
        Description="d",
        Tags=["team:payments"],
        CircuitBreakerThreshold=3,
        CircuitBreakerTimeoutSeconds=20,
    )
    assert definition.check.method == "POST"
    assert definition.check.query == {"a": "true"}
    assert not definition.check.tls.verify
    assert definition.check.redirects == 0
    assert not definition.enabled
    assert definition.tags == {"team": "payments"}
    assert definition.circuit is not None
    assert (definition.circuit.consecutive_failures, definition.circuit.open_for) == (3, 20.0)


def test_a_path_of_the_full_form_is_found_in_the_flat_one() -> None:
    result = flat(url="https://a.example/", headers={"A": "b"}, ExpectedStatus=200)
    assert result.to_flat_path(("check", "headers", "A")) == ("headers", "A")
    assert result.to_flat_path(("expect", 0, "status")) == ("ExpectedStatus",)
    assert result.to_flat_path(("circuit",)) == ()


@pytest.mark.parametrize("value", [DESIGN, {"endpoint": "x"}, {"schedule": "x", "url": "y"}, {"AUTH_TYPE": "none"}])
def test_the_flat_form_is_recognised(value: dict[str, Any]) -> None:
    assert is_flat_job(value)


@pytest.mark.parametrize(
    "value", [{}, {"check": {"url": "x"}}, {"schedule": "x"}, {"Endpoint": "x", "check": {}}, {"url": "x", "retry": {}}]
)
def test_the_full_form_is_not_counted_as_flat(value: dict[str, Any]) -> None:
    assert not is_flat_job(value)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.just("https://a.example/"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)
_keys = st.sampled_from([*FLAT_KEY_SPELLINGS, "Password", "Other"])


@given(st.dictionaries(_keys, _values))
def test_whatever_a_flat_job_holds_it_is_turned_or_reported(mapping: dict[str, Any]) -> None:
    result = convert_flat_job("job", mapping)
    assert result.findings or result.definition["check"]["url"]


@pytest.mark.parametrize(
    ("endpoint", "scope"),
    [
        ("https://svc.internal/health?deep=1", "https://svc.internal/.default"),
        ("https://user@svc.internal:8443/", "https://svc.internal:8443/.default"),
        ("https://[2001:db8::1]/", "https://[2001:db8::1]/.default"),
    ],
)
def test_an_identity_without_a_scope_requests_a_token_for_the_endpoint_itself(endpoint: str, scope: str) -> None:
    result = flat(AuthType="ManagedIdentity", Endpoint=endpoint)
    assert not result.findings
    assert result.definition["check"]["auth"] == {"kind": "managed_identity", "scope": scope}
    assert [str(warning.to_problem()) for warning in result.warnings] == [
        f"AuthType: managedidentity names no scope, so the token is for the endpoint itself: {scope}; "
        f"write Scope: {scope} to confirm it"
    ]


@pytest.mark.parametrize("endpoint", ["svc.internal/health", "ftp://svc.internal/", "https://svc.internal:x/", 7])
def test_an_identity_without_a_scope_needs_one_where_the_endpoint_is_no_url(endpoint: object) -> None:
    found = [str(finding.to_problem()) for finding in flat(AuthType="managedidentity", Endpoint=endpoint).findings]
    assert any(text.startswith("Scope: is missing; AuthType managedidentity needs Scope") for text in found)
