"""What a broken job file or setting does to each command."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.main import get_command

from jobs.heartbeat import Ping, PingSignal
from jobs.running.run_factories import cancelled_run
from jobs.runs import Ticket
from scheduler.cli.main import app
from scheduler.cli.registry import COMMANDS
from scheduler.stores.heartbeats import Heartbeats
from scheduler.stores.runs.repository import Runs, RunState
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

NOW = datetime.now(UTC).replace(microsecond=0)
PAST = Ticket.requested("checkout-api", NOW - timedelta(minutes=5), "past")
WAITING = Ticket.requested("checkout-api", NOW, "waiting")
CHECKOUT = {
    "schedule": {"every": "1m"},
    "check": {"url": "http://127.0.0.1:9/"},
    "circuit": {"consecutive_failures": 3},
}
NIGHTLY = {"check": {"kind": "heartbeat", "token": {"secret": "nightly-token"}, "period": "24h"}}
PROBLEM = "broken.yaml:2: jobs.payments.retires: unknown key, did you mean retry?"


@pytest.fixture
def _runs(job_folder: Path) -> None:
    """Jobs of a file that is right, with a run that is over, one that is queued, and a ping."""
    write_jobs(job_folder, checkout_api=CHECKOUT, nightly=NIGHTLY)

    async def put() -> None:
        store = await open_sqlite(job_folder.parent / "state.db", StoreAccess.SHARED)
        runs = Runs(store)
        over = cancelled_run(None, PAST, PAST.due_at, PAST.due_at, cancelled_by="test")
        await runs.insert_finished(PAST, over)
        await runs.enqueue(WAITING)
        await Heartbeats(store).add("nightly", lambda _: Ping(NOW, PingSignal.SUCCESS))
        await store.aclose()

    asyncio.run(put())


@pytest.fixture
def _broken_file(_runs: None, job_folder: Path) -> None:
    (job_folder / "broken.yaml").write_text("jobs:\n  payments: {retires: 3, check: {url: 'http://127.0.0.1:9/'}}\n")


def commands() -> set[str]:
    """Every command, with the group that it is in."""
    found = set()
    for name, command in get_command(app).commands.items():  # type: ignore[attr-defined]
        if getattr(command, "invoke_without_command", True):
            found.add(name)
        found |= {f"{name} {inner}" for inner in getattr(command, "commands", ())}
    return found


def test_it_is_decided_for_every_command() -> None:
    listed = {f"{name} {inner}" for name, entry in COMMANDS.items() for inner in entry.subcommands}
    groups = {
        "alerts",
        "audit",
        "backup",
        "channels",
        "dead-letters",
        "discover",
        "generate",
        "incidents",
        "markers",
        "notify",
        "presets",
        "profile",
        "silences",
        "slo",
        "store",
        "windows",
    }
    assert listed | set(COMMANDS) == commands() | groups


@pytest.mark.usefixtures("_broken_file")
@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("heartbeat", "nightly"), "success"),
        (("next", "checkout-api"), "Z"),
        (("explain", "checkout-api"), "minute"),
        (("pause", "checkout-api"), "checkout-api is paused"),
        (("resume", "checkout-api"), "checkout-api was not paused"),
        (("circuits", "open", "checkout-api"), "checkout-api is "),
        (("secrets", "refresh", "nightly-token"), "nightly-token will be read again"),
        (("incidents", "list"), "id\tstatus"),
        (("windows", "start", "--for", "1m", "--select", "job=checkout-api"), "1 job"),
        (("cancel", WAITING.id), f"{WAITING.id} is cancelled"),
    ],
)
def test_a_broken_job_file_is_reported_next_to_the_answer_of_a_command_that_needs_the_store(
    words: tuple[str, ...], reported: str
) -> None:
    output = invoke(*words)

    assert (output.code, PROBLEM in output.stderr) == (0, True)
    assert reported in output.stdout
    assert "the command continues without" in output.stderr


@pytest.mark.usefixtures("_broken_file")
@pytest.mark.parametrize(
    ("words", "reported"),
    [
        (("history",), PAST.id),
        (("history", "checkout-api"), PAST.id),
        (("history", PAST.id), "checkout-api cancelled"),
        (("dead-letters", "list"), "id\tat"),
    ],
)
def test_a_command_that_needs_the_store_alone_reads_no_job_files(words: tuple[str, ...], reported: str) -> None:
    output = invoke(*words)

    assert (output.code, reported in output.stdout) == (0, True)
    assert "broken.yaml" not in output.stderr


@pytest.mark.usefixtures("_broken_file")
@pytest.mark.parametrize(
    "words", [("history", "payments"), ("uptime", "payments"), ("dead-letters", "list", "--job", "payments")]
)
def test_of_a_job_without_runs_it_reads_whether_there_is_such_a_job(words: tuple[str, ...]) -> None:
    output = invoke(*words)

    assert output.code == 2
    assert PROBLEM in output.stderr
    assert "there is no job named 'payments' among the jobs without problems" in output.stderr


@pytest.mark.usefixtures("_broken_file")
@pytest.mark.parametrize(
    ("words", "listed"), [(["jobs"], "jobs"), (["circuits"], "circuits"), (["secrets"], "secrets")]
)
def test_a_list_of_jobs_shows_those_without_problems_and_ends_with_2(words: list[str], listed: str) -> None:
    output = invoke(*words)
    reported = json.loads(invoke(*words, "--json").stdout)

    assert output.code == 2
    assert "checkout-api" in output.stdout or "nightly" in output.stdout
    assert "the list is incomplete" in output.stderr
    assert "payments" not in output.stdout
    assert len(reported[listed]) == len(output.lines) - 1


@pytest.mark.usefixtures("_broken_file")
@pytest.mark.parametrize(
    "words",
    [
        ["run", "checkout-api"],
        ["serve"],
        ["validate"],
        ["backfill", "checkout-api", "--from", "2026-01-01"],
        ["dead-letters", "replay", "--job", "checkout-api"],
    ],
)
def test_a_command_that_runs_jobs_does_nothing(words: list[str]) -> None:
    output = invoke(*words)

    assert (output.code, output.stdout) == (2, "")
    assert PROBLEM in output.stderr


@pytest.mark.usefixtures("_runs")
def test_history_and_uptime_of_a_job_exist_although_its_own_definition_is_wrong(job_folder: Path) -> None:
    (job_folder / "jobs.json").write_text('{"jobs": ')

    assert PAST.id in invoke("history", "checkout-api").stdout
    assert invoke("jobs").code == 2
    output = invoke("heartbeat", "nightly")
    assert (output.code, output.stdout) == (2, "")
    assert "there is no job named 'nightly' among the jobs without problems" in output.stderr


@pytest.mark.usefixtures("_runs")
def test_a_folder_of_jobs_that_is_missing_leaves_history(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SCHEDULER_JOBS", "/nowhere")

    output = invoke("history")

    assert (output.code, PAST.id in output.stdout) == (0, True)
    assert "SCHEDULER_JOBS: /nowhere does not exist" in invoke("jobs").stderr


@pytest.mark.usefixtures("_runs")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCHEDULER_PORT", "eighty"),
        ("SCHEDULER_PRT", "80"),
        ("SCHEDULER_LOG__LEVEL", "loud"),
        ("SCHEDULER_TARGETS__NETWORKS", "300.1.1.1"),
        ("SCHEDULER_JOBS_CONTAINER", "http://account.blob.core.windows.net/jobs"),
    ],
)
def test_a_wrong_setting_that_has_nothing_to_do_with_the_store_is_reported_next_to_history(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    output = invoke("history")

    assert (output.code, PAST.id in output.stdout) == (0, True)
    assert f"{name}: " in output.stderr


@pytest.mark.usefixtures("_runs")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SCHEDULER_STORE", "postgres://"),
        ("SCHEDULER_STOER", "sqlite:///other.db"),
        ("SCHEDULER_ENVIRONMENT", "prd"),
        ("AzureWebJobsStorage", "AccountName"),
    ],
)
def test_a_wrong_setting_of_the_store_ends_every_command(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else an empty history of another store would be taken for the truth."""
    monkeypatch.setenv(name, value)

    output = invoke("history")

    assert (output.code, output.stdout) == (2, "")
    assert f"{name}: " in output.stderr


@pytest.mark.usefixtures("_broken_file")
async def test_what_follows_from_a_cancelled_run_is_left_to_a_server_that_knows_all_jobs(job_folder: Path) -> None:
    output = await asyncio.to_thread(invoke, "cancel", WAITING.id)
    store = await open_sqlite(job_folder.parent / "state.db", StoreAccess.SHARED)
    record, unreported = await Runs(store).find(WAITING.id), await Runs(store).list_unacknowledged()
    await store.aclose()

    assert output.code == 0
    assert record is not None
    assert record.state is RunState.FINISHED
    assert WAITING.id in [run.id for run in unreported]
