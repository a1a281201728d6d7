"""Pydantic's errors become sentences for an operator."""

from __future__ import annotations

import math
from datetime import date
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ConfigDict, Field, SecretStr, ValidationError

from jobs.model_base import FrozenModel, SecretRef
from jobs.policies import CircuitPolicy, RetryPolicy, Timeouts
from jobs.problems import Problem, dotted_path, looks_secret, validation_problems
from jobs.problems.findings import suggest_name
from jobs.targets import HttpTarget, StepsTarget


class Sample(FrozenModel):
    check: HttpTarget = HttpTarget(url="http://127.0.0.1/")
    timeout: Timeouts = Timeouts()
    retry: RetryPolicy = RetryPolicy()
    circuit: CircuitPolicy | None = None
    tags: dict[str, str] = Field(default_factory=dict)
    flag: bool = False
    share: float = 0.5
    label: str = Field(default="x", min_length=1, max_length=5)
    vault: SecretRef | None = None
    api_key: int = 1
    either: int | list[int] = 1


def problems(data: Any, base: str = "jobs.x") -> list[Problem]:
    try:
        Sample.model_validate(data)
    except ValidationError as error:
        return list(validation_problems(error, Sample, base))
    return []


def only(data: Any) -> str:
    (problem,) = problems(data)
    return str(problem)


def http(**keys: Any) -> dict[str, Any]:
    return {"check": {"url": "https://a.example/", **keys}}


def test_an_unknown_key_is_reported_with_the_nearest_known_one() -> None:
    assert only({"retires": {}}) == "jobs.x.retires: unknown key, did you mean retry?"


def test_an_unknown_key_that_belongs_one_level_down_is_reported_where() -> None:
    assert only({"method": "GET"}) == "jobs.x.method: unknown key, did you mean check.method?"


def test_an_unknown_key_near_nothing_lists_the_known_ones() -> None:
    assert only({"timeout": {"zzz": 1}}) == "jobs.x.timeout.zzz: unknown key; known keys: attempt, run"


def test_a_misspelt_key_that_is_needed_is_one_problem_not_two() -> None:
    data = http(auth={"kind": "bearer", "tokn": {"secret": "a"}})
    assert only(data) == "jobs.x.check.auth.tokn: unknown key, did you mean token?"


def test_unknown_keys_inside_a_union_are_reported_without_naming_the_union() -> None:
    data = http(headers={"accept": {"secrt": "a"}})
    assert only(data) == "jobs.x.check.headers.accept.secrt: unknown key, did you mean secret?"


def test_a_wrong_kind_lists_the_kinds_and_the_nearest() -> None:
    assert only(http(auth={"kind": "bearr"})) == (
        "jobs.x.check.auth.kind: 'bearr' is not allowed, did you mean bearer? "
        "allowed: none, basic, bearer, api_key, managed_identity, oauth2"
    )


def test_a_missing_kind_is_reported_with_the_kinds() -> None:
    assert only(http(auth={"token": {"secret": "a"}})).startswith(
        "jobs.x.check.auth.kind: is missing; one of none, basic"
    )


def test_a_misspelt_kind_key_is_reported() -> None:
    assert only(http(auth={"knid": "basic"})) == "jobs.x.check.auth.knid: unknown key, did you mean kind?"


def test_a_union_by_keys_names_the_keys() -> None:
    assert only(http(body={"jsn": 1})) == (
        "jobs.x.check.body.jsn: unknown key, did you mean json? it must have one of the keys text, json, form"
    )


def test_a_union_by_keys_with_nothing_known_reports_it() -> None:
    assert only(http(body={"qqqq": 1})) == (
        "jobs.x.check.body: has no known key; it must have one of the keys text, json, form"
    )


def test_a_union_by_keys_that_is_no_mapping_reports_it() -> None:
    assert only(http(body=[1])) == (
        "jobs.x.check.body: a list is not a mapping of keys to values; write body: {json: [1]}"
    )


def test_a_wrong_choice_lists_the_choices() -> None:
    assert only({"retry": {"backoff": "expo"}}) == (
        "jobs.x.retry.backoff: 'expo' is not allowed, did you mean exponential? allowed: constant, linear, exponential"
    )


def test_a_missing_key_is_reported() -> None:
    assert only({"check": {}}) == "jobs.x.check.url: is missing"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"retry": {"attempts": 30}}, "jobs.x.retry.attempts: 30 is too large: at most 20"),
        (
            {"retry": {"attempts": 0}},
            "jobs.x.retry.attempts: 0 attempts are too few: the first attempt counts, so 1 means no retry",
        ),
        ({"retry": {"attempts": "many"}}, "jobs.x.retry.attempts: 'many' is not a whole number"),
        ({"retry": {"attempts": 1.5}}, "jobs.x.retry.attempts: 1.5 is not a whole number"),
        ({"retry": []}, "jobs.x.retry: a list is not a mapping of keys to values"),
        ({"retry": None}, "jobs.x.retry: an empty value is not a mapping of keys to values"),
        ({"tags": {"a": 1}}, "jobs.x.tags.a: 1 is not a text; write it in quotes"),
        ({"tags": True}, "jobs.x.tags: true is not a mapping of keys to values"),
        ({"flag": "perhaps"}, "jobs.x.flag: 'perhaps' is not true or false"),
        ({"share": "x"}, "jobs.x.share: 'x' is not a number"),
        ({"label": ""}, "jobs.x.label: it is too short: at least 1 characters"),
        ({"label": "x" * 500}, "jobs.x.label: it is too long: at most 5 characters"),
        ({"timeout": {"run": "0s"}}, "jobs.x.timeout.run: '0s' must be more than 0s"),
        ({"retry": {"initial": math.inf}}, "jobs.x.retry.initial: inf is too large: at most 999999999d"),
        ({"retry": {"on": "503"}}, "jobs.x.retry.on: '503' is not a list"),
        (
            {"retry": {"on": [503, "foo"]}},
            "jobs.x.retry.on[1]: 'foo' has the wrong form; "
            "connection, timeout, expectation, a status such as 503, or a class of them such as 5xx",
        ),
        (
            {"circuit": {}},
            "jobs.x.circuit: no condition to open: set consecutive_failures, failure_rate or slow_rate",
        ),
    ],
)
def test_a_wrong_value_is_reported_with_what_is_right(data: dict[str, Any], sentence: str) -> None:
    assert only(data) == sentence


def test_every_problem_is_reported_at_once() -> None:
    assert len(problems({"retires": 1, "retry": {"attempts": 99, "backof": "x"}, "timeout": {"run": 5}})) == 4


def test_a_plain_union_is_reported_at_its_own_key() -> None:
    assert {problem.key for problem in problems({"either": "x"})} == {"jobs.x.either"}


@pytest.mark.parametrize("value", ["hunter2", "p@ss w0rd", 12345, ["hunter2"]])
def test_a_secret_written_where_a_reference_belongs_is_never_repeated(value: object) -> None:
    text = only(http(auth={"kind": "bearer", "token": value}))
    assert text == (
        "jobs.x.check.auth.token: must not contain a secret value; reference the secret by its name: {secret: NAME}"
    )


def test_a_secret_written_as_a_secrets_name_is_never_repeated() -> None:
    assert only(http(auth={"kind": "bearer", "token": {"secret": "p@ss w0rd"}})) == (
        "jobs.x.check.auth.token.secret: is not the name of a secret; "
        "letters, digits, - and _, at most 127; not the secret value"
    )


def test_a_value_under_a_secret_looking_key_is_never_repeated() -> None:
    assert only({"api_key": "hunter2"}) == "jobs.x.api_key: the value is not a whole number"


def test_a_url_is_repeated_without_password_and_query() -> None:
    text = only({"check": {"url": "htps://a.example/x?token=hunter2"}})
    assert text == (
        "jobs.x.check.url: 'htps://a.example/x' is not an http URL: write it like https://checkout.internal/health"
    )
    assert "hunter2" not in only({"check": {"url": "htps://user:hunter2@a.example/x?token=hunter2"}})


def test_pydantics_own_words_do_not_come_through() -> None:
    reported = " ".join(
        str(p) for p in problems({"check": 1, "timeout": {"run": []}, "flag": [], "share": {}, "label": 1})
    )
    assert "Input should" not in reported
    assert "instance of" not in reported


def test_a_problem_begins_with_file_and_line() -> None:
    problem = Problem("jobs.x.retires", "unknown key, did you mean retry?", file="config/jobs/x.yaml", line=12)
    assert str(problem) == "config/jobs/x.yaml:12: jobs.x.retires: unknown key, did you mean retry?"


def test_a_path_escapes_what_a_terminal_would_act_upon() -> None:
    assert dotted_path("jobs", "a\x1b[31m", "expect", 0, "json") == "jobs.a\\x1b[31m.expect[0].json"


@pytest.mark.parametrize("key", ["password", "AuthToken", "api_key", "ApiKey", "Authorization", "clientSecret", "key"])
def test_keys_that_look_secret(key: str) -> None:
    assert looks_secret(key)


@pytest.mark.parametrize("key", ["url", "monkey", "timeout", 3])
def test_keys_that_do_not_look_secret(key: str | int) -> None:
    assert not looks_secret(key)


def test_case_and_separators_do_not_matter_for_a_suggestion() -> None:
    assert suggest_name("Response-Time_Below", ["response_time_below"]) == "response_time_below"


class Left(FrozenModel):
    side: Literal["left"]
    long_name: int = Field(alias="longName")


class Right(FrozenModel):
    side: Literal["right"]


class Other(FrozenModel):
    """Written in pydantic's other ways: a discriminator of the field, names beside aliases, a tagged default."""

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    turn: Left | Right | None = Field(default=None, discriminator="side")
    host_name: str = Field(default="", alias="hostName")
    rows: list[Left] = Field(default_factory=list, max_length=2)


def others(data: Any) -> list[str]:
    with pytest.raises(ValidationError) as caught:
        Other.model_validate(data)
    return [str(problem) for problem in validation_problems(caught.value, Other)]


def test_a_discriminator_of_the_field_is_understood() -> None:
    assert others({"turn": {"side": "up"}}) == ["turn.side: 'up' is not allowed; allowed: left, right"]
    assert others({"turn": {"side": "left", "longNme": 1}}) == ["turn.longNme: unknown key, did you mean longName?"]


def test_names_and_aliases_are_suggested_where_both_are_accepted() -> None:
    assert others({"hostNam": ""}) == ["hostNam: unknown key, did you mean hostName?"]
    assert others({"zzz": 1}) == ["zzz: unknown key; known keys: turn, hostName, host_name, rows"]


def test_what_is_wrong_in_a_list_of_models_is_reported_with_its_index() -> None:
    assert others({"rows": [{"side": "left", "longName": 1}, {"side": "left", "longName": "x"}]}) == [
        "rows[1].longName: 'x' is not a whole number"
    ]
    assert others({"rows": [{"side": "left", "longName": 1}] * 3}) == ["rows: it has too many entries: at most 2"]


def test_a_list_whose_only_entry_is_wrong_is_not_called_empty_as_well() -> None:
    with pytest.raises(ValidationError) as caught:
        StepsTarget.model_validate({"kind": "steps", "steps": [{"url": "http://127.0.0.1/"}]})
    assert [str(problem) for problem in validation_problems(caught.value, StepsTarget)] == ["steps[0].name: is missing"]


def test_a_number_of_thousands_of_digits_is_not_written_out() -> None:
    assert only({"retry": {"attempts": 10**5000}}) == (
        "jobs.x.retry.attempts: a number with thousands of digits is too large: at most 20"
    )


def test_an_error_that_has_no_sentence_of_its_own_keeps_pydantics_words() -> None:
    class Dated(FrozenModel):
        day: date

    with pytest.raises(ValidationError) as caught:
        Dated.model_validate({"day": "soon"})
    assert "day: is not valid: Input should be a valid date" in str(validation_problems(caught.value, Dated)[0])


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(["GET", "5s", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*Sample.model_fields, *HttpTarget.model_fields, "kind", "json", "secret", "retires", ""]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=15,
)


@given(_json)
def test_whatever_is_wrong_becomes_a_sentence(data: Any) -> None:
    for problem in problems(data):
        assert problem.message
        assert "\n" not in str(problem)


def test_a_secret_setting_of_the_wrong_type_is_not_repeated() -> None:
    class Holder(FrozenModel):
        connection: SecretStr

    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"connection": ["hunter2"]})
    assert "hunter2" not in str(validation_problems(caught.value, Holder))
