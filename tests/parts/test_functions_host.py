"""What is played of the Functions host."""

from __future__ import annotations

import pytest

from tests.parts.functions_host import MASTER_KEY, Function, admits, matching, problems

HOST = {"version": "2.0", "extensionBundle": {"id": "x", "version": "[4.*, 5.0.0)"}}


def http(name: str, route: str, *methods: str, auth: str = "FUNCTION") -> Function:
    trigger = {"type": "httpTrigger", "name": "req", "route": route, "methods": list(methods), "authLevel": auth}
    return Function(name, name, (trigger, {"type": "http", "name": "$return", "direction": "OUT"}))


def other(name: str, kind: str, **settings: str) -> Function:
    return Function(name, name, ({"type": kind, "name": "arg", **settings},))


@pytest.mark.parametrize(
    ("route", "path", "params"),
    [
        ("jobs", "/jobs/", {}),
        ("jobs", "JOBS", {}),
        ("jobs", "jobs/a", None),
        ("jobs/{name}", "jobs/a%20b", {"name": "a b"}),
        ("jobs/{name}", "jobs", None),
        ("jobs/{name}", "jobs/a/runs", None),
        ("jobs/{name?}", "jobs", {}),
        ("runs/{id:int}", "runs/7", {"id": "7"}),
        ("runs/{id:int}", "runs/x", None),
        ("runs/{id:guid}", "runs/00000000-1111-2222-3333-444444444444", {"id": "00000000-1111-2222-3333-444444444444"}),
        ("health/{*rest}", "health", {}),
        ("health/{*rest}", "health/live/deep", {"rest": "live/deep"}),
        ("{*path}", "", {}),
        ("{*path}", "any/thing", {"path": "any/thing"}),
    ],
)
def test_a_route_takes_what_its_template_reports(route: str, path: str, params: dict[str, str] | None) -> None:
    assert http("f", route).match("GET", path) == params


def test_a_method_that_is_not_listed_does_not_match() -> None:
    assert http("f", "jobs", "GET").match("POST", "jobs") is None


def test_of_several_functions_the_first_name_gets_the_request() -> None:
    functions = [http("zebra", "{*path}"), http("Apple", "jobs/{name}")]
    assert [function.name for function, _ in matching(functions, "GET", "jobs/a")] == ["Apple", "zebra"]


@pytest.mark.parametrize(
    ("auth", "key", "admitted"),
    [
        ("ANONYMOUS", None, True),
        ("FUNCTION", None, False),
        ("FUNCTION", "key-of-f", True),
        ("FUNCTION", "key-of-g", False),
        ("FUNCTION", MASTER_KEY, True),
        ("ADMIN", "key-of-f", False),
        ("ADMIN", MASTER_KEY, True),
    ],
)
def test_a_key_opens_its_own_function(auth: str, key: str | None, admitted: bool) -> None:
    assert admits(http("f", "x", auth=auth), key) is admitted


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (http("f", "admin/jobs"), "must not begin with admin"),
        (http("f", "runtimes"), "must not begin with admin or runtime"),
        (http("1f", "x"), "not a name for a function"),
        (
            Function("f", "f", ({"type": "timerTrigger", "name": "a_b", "schedule": "0 * * * * *"},)),
            "not a name for a bind",
        ),
        (Function("f", "f", ()), "has 0 triggers"),
        (other("f", "timerTrigger", schedule="* * * * *"), "not a six-field"),
        (other("f", "queueTrigger", queueName="Work"), "not a name for a queue"),
    ],
)
def test_what_the_host_would_refuse_is_found(function: Function, problem: str) -> None:
    (found,) = problems([function], HOST)
    assert problem in found


def test_a_good_app_has_no_problems() -> None:
    functions = [
        http("read", "{*path}", "GET"),
        other("tick", "timerTrigger", schedule="%TICK%"),
        other("work", "queueTrigger", queueName="scheduler-runs"),
    ]
    assert problems(functions, HOST) == []


def test_the_same_name_twice_and_a_missing_bundle_are_problems_of_the_app() -> None:
    twice = [other("work", "queueTrigger", queueName="a-b"), other("Work", "queueTrigger", queueName="a-b")]
    found = problems(twice, {"version": "2.0"})
    assert [each.split(",")[0] for each in found] == [
        "the name work is used more than once",
        "host.json names no extensionBundle",
    ]
