"""What a Functions app says and does whose configuration is wrong, and that it goes on once that is mended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from scheduler.app import Program
from scheduler.hosts.functions import program as functions_program
from scheduler.hosts.functions.program import FAILURE_REUSE_TIME, ProgramLoader
from scheduler.hosts.functions.triggers import FunctionsHost
from tests.parts.azurite import Azurite
from tests.parts.functions_worker import WorkerFactory
from tests.scheduler.functions.asking import ask
from tests.scheduler.functions.hosted import ROOT, environment, write_jobs

CHECK = {"kind": "http", "url": "http://127.0.0.1:9/"}
WRONG = """\
jobs:
  checkout:
    schedule: every 10s
    retires: 3
    check: {kind: http, url: "http://127.0.0.1:9/"}
"""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Two things are wrong: a key in a job file, and a setting."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "jobs.yaml").write_text(WRONG)
    wrong = {"SCHEDULER_CONCURRENCY": "many"}
    return environment("UseDevelopmentStorage=true", "scheduler", tmp_path / "jobs") | wrong


@pytest.fixture
async def host(environ: dict[str, str]) -> AsyncIterator[FunctionsHost]:
    host = FunctionsHost(environ)
    yield host
    await host.aclose()


@pytest.mark.parametrize(
    "trigger",
    [FunctionsHost.tick, lambda host: host.perform_batch(b"{}"), lambda host: host.dead_letter_poison(b"{}", None)],
    ids=["tick", "work", "bury"],
)
async def test_an_invocation_fails_with_every_problem(
    host: FunctionsHost, trigger: Callable[[FunctionsHost], Awaitable[None]], tmp_path: Path
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await trigger(host)

    assert str(caught.value).splitlines() == [
        "SCHEDULER_CONCURRENCY: 'many' is not a whole number",
        f"{tmp_path}/jobs/jobs.yaml:4: jobs.checkout.retires: unknown key, did you mean retry?",
    ]


async def test_the_log_names_file_line_and_key(host: FunctionsHost, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError):
        await host.tick()

    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert "nothing runs:\n" in record.getMessage()
    assert "jobs/jobs.yaml:4: jobs.checkout.retires: unknown key" in record.getMessage()
    assert record.exc_info is None


@pytest.mark.parametrize("path", ["/api/status", "/api/healthy", "/api/jobs?code=key", "/api/dashboard"])
async def test_who_requests_is_reported_what_to_mend(host: FunctionsHost, path: str, tmp_path: Path) -> None:
    answer = await ask(host, "GET", path)

    assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
    assert answer.headers["retry-after"] == "5"
    problem = answer.json()
    assert problem["title"] == "Service Unavailable"
    assert problem["instance"] == path.partition("?")[0]
    assert problem["detail"].startswith("The configuration has 2 problems, so nothing runs.")
    assert problem["errors"] == [
        {"location": "SCHEDULER_CONCURRENCY", "message": "'many' is not a whole number"},
        {
            "location": f"{tmp_path}/jobs/jobs.yaml:4: jobs.checkout.retires",
            "message": "unknown key, did you mean retry?",
        },
    ]


@pytest.mark.parametrize("path", ["/api/health/ready", "/api/health", "/api/health/else"])
async def test_who_requests_without_a_key_is_reported_where_it_stands(host: FunctionsHost, path: str) -> None:
    answer = await ask(host, "GET", path)

    assert (answer.status, answer.headers["content-type"]) == (503, "application/problem+json")
    problem = answer.json()
    assert "GET /api/status (with a key)" in problem["detail"]
    assert "errors" not in problem


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "HEAD"])
async def test_every_method_is_answered(host: FunctionsHost, method: str) -> None:
    assert (await ask(host, method, "/api/jobs/checkout")).status == 503


async def test_the_process_lives_though_nothing_can_run(host: FunctionsHost) -> None:
    """A probe that said otherwise would have the container restarted again and again, which mends nothing."""
    answer = await ask(host, "GET", "/api/health/live")

    assert (answer.status, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_whether_the_process_lives_is_reported_without_opening_the_program(
    host: FunctionsHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening may take longer than the probe waits."""
    monkeypatch.setattr(functions_program, "load_functions_configuration", lambda _: pytest.fail("opened"))

    assert (await ask(host, "HEAD", "/api/health/live")).status == 200


async def test_of_very_many_problems_the_first_hundred_are_listed(host: FunctionsHost, tmp_path: Path) -> None:
    write_jobs(tmp_path / "jobs", **{f"job{number}": {"check": CHECK, "x": 1} for number in range(200)})

    problem = (await ask(host, "GET", "/api/status")).json()

    assert "201 problems" in problem["detail"]
    assert len(problem["errors"]) == 100


async def test_on_the_worker_nothing_but_the_invocation_fails(
    functions_worker: WorkerFactory, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)

    async with functions_worker(ROOT, fresh=("scheduler.hosts.functions",)) as worker:
        ticked = await worker.timer("tick")
        worked = await worker.queue("work", "{}")
        ready = await worker.http("GET", "/api/health/ready")
        status = await worker.http("GET", "/api/status", key="read")
        live = await worker.http("GET", "/api/health/live")

    for failure in (ticked.failure, worked.failure):
        assert failure is not None
        assert "jobs/jobs.yaml:4: jobs.checkout.retires: unknown key" in failure
    assert (ready.status, ready.failure) == (503, None)
    assert (status.status, status.failure, len(status.json()["errors"])) == (503, None, 2)
    assert live.status == 200


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("SCHEDULER_STORE", "sqlite:////tmp/a.db", "SCHEDULER_STORE: sqlite:////tmp/a.db supports one process"),
        ("AzureWebJobsStorage", "AccountName=a", "AzureWebJobsStorage: is not the connection string of a storage"),
        ("AzureWebJobsStorage", "", "SCHEDULER_STORE: azure needs a storage account; set AzureWebJobsStorage"),
        (
            "AzureWebJobsStorage",
            "@Microsoft.KeyVault(SecretUri=https://v.vault.azure.net/secrets/s)",
            "AzureWebJobsStorage: its Key Vault reference is not resolved; check that the secret exists",
        ),
    ],
)
async def test_a_store_that_no_other_instance_could_share_is_a_problem(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    write_jobs(tmp_path / "jobs")
    environ = environment("UseDevelopmentStorage=true", "scheduler", tmp_path / "jobs") | {name: value}

    with pytest.raises(ConfigurationError) as caught:
        await FunctionsHost(environ).tick()

    (problem,) = caught.value.problems
    assert str(problem).startswith(sentence)


async def test_a_prefix_that_the_queue_functions_do_not_know_is_a_problem(tmp_path: Path) -> None:
    """They are made before settings are read, and know the variable by this name alone."""
    write_jobs(tmp_path / "jobs")
    environ = environment("UseDevelopmentStorage=true", "scheduler", tmp_path / "jobs")
    del environ["SCHEDULER_STORAGE__PREFIX"]

    with pytest.raises(ConfigurationError) as caught:
        await FunctionsHost(environ | {"scheduler_storage__prefix": "other"}).tick()

    assert str(caught.value) == (
        "scheduler_storage__prefix: the queue functions read another queue: they use the variable only; "
        "set SCHEDULER_STORAGE__PREFIX to other"
    )


class Door:
    """An Opening on a clock of its own that counts how often the configuration is read."""

    def __init__(self, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.read = 100.0, 0
        self.opening = ProgramLoader(environ, lambda: self.now)
        load = functions_program.load_functions_configuration

        def counted(environ: dict[str, str]) -> object:
            self.read += 1
            return load(environ)

        monkeypatch.setattr(functions_program, "load_functions_configuration", counted)

    async def fails(self) -> Exception:
        with pytest.raises(ConfigurationError) as caught:
            await self.opening.load()
        return caught.value


async def test_a_failure_is_not_inspected_again_for_some_seconds(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(environ, monkeypatch)

    first, second = await door.fails(), await door.fails()
    assert (first, door.read) == (second, 1)

    door.now += FAILURE_REUSE_TIME
    await door.fails()
    assert door.read == 2


async def test_what_was_fixed_is_picked_up_without_a_restart(
    azurite: Azurite, storage_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jobs(tmp_path / "jobs", checkout={"check": CHECK, "retires": 1})
    environ = environment(azurite.connection_string, storage_prefix, tmp_path / "jobs")
    door = Door(environ, monkeypatch)
    await door.fails()

    write_jobs(tmp_path / "jobs", checkout={"check": CHECK})
    door.now += FAILURE_REUSE_TIME

    opened = await door.opening.load()
    assert "checkout" in opened.program.catalog
    await door.opening.aclose()


async def test_invocations_that_come_at_the_same_time_open_it_once(
    azurite: Azurite, storage_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_jobs(tmp_path / "jobs")
    door = Door(environment(azurite.connection_string, storage_prefix, tmp_path / "jobs"), monkeypatch)

    programs = await asyncio.gather(*(door.opening.load() for _ in range(5)))

    assert door.read == 1
    assert len({id(program) for program in programs}) == 1
    await door.opening.aclose()


async def test_a_mistake_of_the_program_is_reported_in_the_log_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    @asynccontextmanager
    async def broken(*_: object, **__: object) -> AsyncIterator[Program]:
        raise RuntimeError("inner workings")
        yield

    write_jobs(tmp_path / "jobs")
    monkeypatch.setattr(functions_program, "open_functions_program", broken)
    host = FunctionsHost(environment("UseDevelopmentStorage=true", "scheduler", tmp_path / "jobs"))

    answer = await ask(host, "GET", "/api/status")

    assert answer.status == 503
    assert answer.json()["detail"] == "The scheduler could not start; the log has the details."
    (record,) = caplog.records
    assert "inner workings" in (record.exc_text or "")
    with pytest.raises(RuntimeError, match="inner workings"):
        await host.tick()
