"""Microsoft's worker on a small app, driven through the harness."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.parts.functions_worker import IndexingFailed, WorkerFactory

HEAD = "import azure.functions as func\napp = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)\n"

APP = (
    HEAD
    + """
@app.timer_trigger(arg_name="timer", schedule="0 * * * * *")
async def tick(timer: func.TimerRequest) -> None:
    if timer.past_due:
        raise RuntimeError("too late")

@app.queue_trigger(arg_name="message", queue_name="work", connection="AzureWebJobsStorage")
@app.queue_output(arg_name="out", queue_name="done", connection="AzureWebJobsStorage")
async def work(message: func.QueueMessage, out: func.Out[str]) -> None:
    out.set(f"{message.id} {message.dequeue_count} {message.get_body().decode()} {message.insertion_time.tzinfo}")

@app.route(route="health/{*rest}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def health(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    return func.HttpResponse(f"{context.function_name} {req.route_params.get('rest')}", mimetype="text/plain")

@app.route(route="jobs/{name}", methods=["POST"])
def operate(req: func.HttpRequest) -> func.HttpResponse:
    answer = func.HttpResponse(req.get_body(), status_code=202, headers={"X-Query": str(dict(req.params))})
    answer.headers.add("Set-Cookie", "a=b; Secure; HttpOnly; SameSite=Lax; Max-Age=60")
    return answer
"""
)

HOST = '{"version": "2.0", "extensionBundle": {"id": "bundle", "version": "[4.*, 5.0.0)"}}'


@pytest.fixture
def app(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text(HOST)
    return tmp_path


async def test_functions_are_indexed_with_their_bindings(functions_worker: WorkerFactory, app: Path) -> None:
    async with functions_worker(app) as worker:
        assert sorted(worker.functions) == ["health", "operate", "tick", "work"]
        assert worker.functions["work"].trigger["queueName"] == "work"
        assert worker.functions["health"].auth_level == "anonymous"
        assert worker.problems() == []


async def test_a_timer_runs_and_its_failure_is_reported(functions_worker: WorkerFactory, app: Path) -> None:
    async with functions_worker(app) as worker:
        assert (await worker.timer("tick")).failure is None
        failure = (await worker.timer("tick", past_due=True)).failure
    assert failure is not None
    assert failure.startswith("RuntimeError: too late")


async def test_a_message_of_a_queue_arrives_with_its_metadata(functions_worker: WorkerFactory, app: Path) -> None:
    async with functions_worker(app) as worker:
        done = await worker.queue("work", "ticket", dequeue_count=3, message_id="m1")
    assert done.failure is None
    assert done.outputs == {"out": "m1 3 ticket UTC"}


async def test_a_request_is_routed_without_a_key_where_none_is_required(
    functions_worker: WorkerFactory, app: Path
) -> None:
    async with functions_worker(app) as worker:
        reply = await worker.http("GET", "/api/health/live")
    assert (reply.status, reply.body, reply.function) == (200, b"health live", "health")
    assert reply.headers["content-type"].startswith("text/plain")


async def test_a_request_needs_the_key_of_its_function(functions_worker: WorkerFactory, app: Path) -> None:
    async with functions_worker(app) as worker:
        refused = await worker.http("POST", "/api/jobs/a")
        wrong = await worker.http("POST", "/api/jobs/a", key="health")
        reply = await worker.http("POST", "/api/jobs/a?x=1&empty=", key="operate", body={"y": 2})
    assert (refused.status, wrong.status) == (401, 401)
    assert (reply.status, reply.json(), reply.headers["x-query"]) == (202, {"y": 2}, "{'x': '1'}")
    assert reply.headers["set-cookie"] == "a=b"


async def test_a_request_that_no_route_takes_is_not_found(functions_worker: WorkerFactory, app: Path) -> None:
    async with functions_worker(app) as worker:
        statuses = [(await worker.http(*request)).status for request in [("PUT", "/api/jobs/a"), ("GET", "/jobs/a")]]
    assert statuses == [404, 404]


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        ("async def f(req: func.HttpRequest, more: str) -> str: ...", "more"),
        ("async def f(req: func.HttpRequest) -> func.HttpResponse | None: ...", "return annotation"),
        ("async def f(req: dict) -> str: ...", "do not match"),
    ],
)
async def test_an_app_that_the_worker_refuses_fails_with_the_reason(
    functions_worker: WorkerFactory, tmp_path: Path, function: str, reason: str
) -> None:
    (tmp_path / "function_app.py").write_text(f"{HEAD}\n@app.route(route='x')\n{function}\n")
    with pytest.raises(IndexingFailed, match=reason):
        async with functions_worker(tmp_path):
            pass


async def test_a_second_app_is_not_mixed_with_the_first(
    functions_worker: WorkerFactory, app: Path, tmp_path: Path
) -> None:
    second = tmp_path / "second"
    second.mkdir()
    (second / "function_app.py").write_text(
        f"{HEAD}\n@app.route(route='x')\nasync def only(req: func.HttpRequest) -> str:\n    return 'two'\n"
    )
    async with functions_worker(app) as worker:
        assert "tick" in worker.functions
    async with functions_worker(second) as worker:
        assert list(worker.functions) == ["only"]
        assert (await worker.http("GET", "/api/x", key="*")).body == b"two"


def test_a_test_that_uses_the_worker_is_marked(functions_worker: WorkerFactory, request: pytest.FixtureRequest) -> None:
    assert request.node.get_closest_marker("worker") is not None
