"""function_app.py as Microsoft's worker indexes it, and which of its functions a request reaches."""

from __future__ import annotations

from collections.abc import AsyncIterator, Set

import pytest

from scheduler.api.app import ROUTERS
from scheduler.api.scopes import HTTP_FUNCTIONS, MANAGE_POST_FUNCTIONS, Scope
from tests.parts.functions_worker import FunctionsWorker, WorkerFactory
from tests.scheduler.functions.hosted import ROOT


@pytest.fixture
async def worker(functions_worker: WorkerFactory) -> AsyncIterator[FunctionsWorker]:
    async with functions_worker(ROOT) as worker:
        yield worker


async def test_the_app_is_indexed_without_a_problem(worker: FunctionsWorker) -> None:
    assert sorted(worker.functions) == [
        "bury",
        "health",
        "heartbeat",
        "manage",
        "manage_definitions",
        "manage_deletion",
        "manage_duplicates",
        "manage_jobs",
        "manage_sets",
        "manage_versions",
        "metrics",
        "operate",
        "read",
        "secrets_changed",
        "tick",
        "work",
    ]
    assert worker.problems() == []


async def test_the_timer_comes_at_the_beginning_of_each_minute(worker: FunctionsWorker) -> None:
    trigger = worker.functions["tick"].trigger
    assert trigger["type"] == "timerTrigger"
    assert trigger["schedule"] == "0 * * * * *"


@pytest.mark.parametrize(("name", "queue"), [("work", "scheduler-runs"), ("bury", "scheduler-runs-poison")])
async def test_each_queue_has_its_function(worker: FunctionsWorker, name: str, queue: str) -> None:
    trigger = worker.functions[name].trigger
    assert trigger["type"] == "queueTrigger"
    assert (trigger["queueName"], trigger["connection"]) == (queue, "AzureWebJobsStorage")


async def test_a_deployment_with_another_prefix_has_queues_of_its_own(
    functions_worker: WorkerFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two deployments on one storage account none may take the other's tickets."""
    monkeypatch.setenv("SCHEDULER_STORAGE__PREFIX", "staging")

    async with functions_worker(ROOT) as worker:
        queues = [worker.functions[name].trigger["queueName"] for name in ("work", "bury")]
        problems = worker.problems()

    assert (queues, problems) == (["staging-runs", "staging-runs-poison"], [])


@pytest.mark.parametrize(
    ("name", "route", "methods", "level"),
    [
        ("health", "health/{*rest}", {"GET", "HEAD"}, "anonymous"),
        ("heartbeat", "ping/{*rest}", {"GET", "HEAD", "POST"}, "anonymous"),
        ("manage", "{*path}", {"PUT", "PATCH", "DELETE"}, "function"),
        ("manage_definitions", "definitions/test-run", {"POST"}, "function"),
        ("manage_deletion", "jobs/delete", {"POST"}, "function"),
        ("manage_duplicates", "jobs/{name}/duplicate", {"POST"}, "function"),
        ("manage_jobs", "jobs", {"POST"}, "function"),
        ("manage_sets", "sets/{*rest}", {"POST"}, "function"),
        ("manage_versions", "jobs/{name}/versions/{*rest}", {"POST"}, "function"),
        ("metrics", "metrics", {"GET", "HEAD"}, "function"),
        ("operate", "{*path}", {"POST"}, "function"),
        ("read", "{*path}", {"GET", "HEAD"}, "function"),
    ],
)
async def test_each_key_has_its_routes(
    worker: FunctionsWorker, name: str, route: str, methods: Set[str], level: str
) -> None:
    function = worker.functions[name]
    assert (function.route, function.methods, function.auth_level) == (route, methods, level)


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("GET", "/api/health", "health"),
        ("HEAD", "/api/health/live", "health"),
        ("GET", "/api/health/ready", "health"),
        ("GET", "/api/ping/token", "heartbeat"),
        ("HEAD", "/api/ping/token/start", "heartbeat"),
        ("POST", "/api/ping/token/3", "heartbeat"),
        ("PUT", "/api/ping/token", "manage"),
        ("GET", "/api/jobs/ping/heartbeat", "read"),
        ("GET", "/api/metrics", "metrics"),
        ("GET", "/api/jobs", "read"),
        ("GET", "/api/jobs/health", "read"),
        ("GET", "/api/healthy", "read"),
        ("HEAD", "/api/dashboard", "read"),
        ("GET", "/api/dashboard/static/0/styles.css", "read"),
        ("GET", "/api/nothing/of/the/kind", "read"),
        ("POST", "/api/jobs/checkout/run", "operate"),
        ("POST", "/api/dead-letters/some/replay", "operate"),
        ("POST", "/api/health", "operate"),
        ("POST", "/api/jobs", "manage_jobs"),
        ("POST", "/api/jobs/", "manage_jobs"),
        ("POST", "/api/jobs/delete", "manage_deletion"),
        ("POST", "/api/jobs/delete/run", "operate"),
        ("POST", "/api/jobs/checkout/duplicate", "manage_duplicates"),
        ("POST", "/api/sets/shop/apply", "manage_sets"),
        ("POST", "/api/jobs/checkout/versions/3/restore", "manage_versions"),
        ("PUT", "/api/jobs/checkout", "manage"),
        ("PATCH", "/api/health", "manage"),
        ("DELETE", "/api/jobs/checkout/run", "manage"),
    ],
)
async def test_a_request_reaches_the_function_with_its_key(
    worker: FunctionsWorker, method: str, path: str, function: str
) -> None:
    assert worker.matching(method, path)[0] == function


async def test_every_route_of_the_api_reaches_the_function_of_its_scope(worker: FunctionsWorker) -> None:
    # A POST of the scope manage is for a server that authenticates callers itself: the function does not matter there.
    declared = [
        route
        for router in ROUTERS
        for route in router.declared
        if route.path not in ("/", "/api/definitions/test-run")
        and not route.path.startswith(("/api/keys", "/api/sessions"))
        and route.scope in HTTP_FUNCTIONS
    ]

    assert len(declared) > 30
    for route in declared:
        path = route.path.replace("{", "").replace("}", "")
        function = worker.matching(route.method, path)[0]
        if (route.scope, route.method) == (Scope.MANAGE, "POST"):
            assert function in {one.name for one in MANAGE_POST_FUNCTIONS}
        elif (route.scope, route.method) == (Scope.READ, "POST"):
            assert function == HTTP_FUNCTIONS[Scope.OPERATE].name
        else:
            assert function == HTTP_FUNCTIONS[route.scope].name


async def test_only_health_and_pings_are_answered_without_a_key(worker: FunctionsWorker) -> None:
    requests = [("GET", "/api/jobs"), ("POST", "/api/jobs/checkout/run"), ("DELETE", "/api/jobs/checkout")]
    assert [(await worker.http(*request)).status for request in requests] == [401, 401, 401]
    assert [each.name for each in worker.functions.values() if each.auth_level == "anonymous"] == [
        "health",
        "heartbeat",
    ]


async def test_the_key_of_one_function_opens_no_other(worker: FunctionsWorker) -> None:
    assert (await worker.http("POST", "/api/jobs/checkout/run", key="read")).status == 401
