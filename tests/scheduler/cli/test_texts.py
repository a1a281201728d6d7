"""The texts of the command line: the help of every command, the table of runs, and what commands print without data."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from syrupy.assertion import SnapshotAssertion
from typer.main import get_command

from jobs.runs import Outcome, Run
from scheduler.cli.main import app
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.observability.runs import failed_attempt, good_attempt, run, ticket
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs

WIDTH = 100


def helps(name: str, command: Any, parent: typer.Context | None = None) -> Iterator[str]:
    """The help of a command, then that of its subcommands."""
    context = typer.Context(command, parent, name, terminal_width=WIDTH, max_content_width=WIDTH)
    yield f"===== {context.command_path} --help\n{command.get_help(context)}\n"
    for inner, subcommand in getattr(command, "commands", {}).items():
        yield from helps(inner, subcommand, context)


def test_the_help_of_every_command(text_snapshot: SnapshotAssertion) -> None:
    assert "\n".join(helps("scheduler", get_command(app))) == text_snapshot


def test_the_table_of_runs(job_folder: Path, text_snapshot: SnapshotAssertion) -> None:
    retried = run(attempts=(failed_attempt(), good_attempt(2)))
    finished = [
        retried,
        run(Outcome.FAILED, job="search", message="The target refused the connection."),
        run(Outcome.SKIPPED, job="booking", message="the job is paused until it is resumed: deployment"),
    ]
    asyncio.run(store_runs(job_folder.parent / "state.db", finished))

    output = invoke("history", terminal=True), invoke("history", retried.id, terminal=True)

    assert "\n".join(each.stdout for each in output) == text_snapshot


async def store_runs(path: Path, finished: list[Run]) -> None:
    store = await open_sqlite(path, StoreAccess.SHARED)
    for each in finished:
        await Runs(store).insert_finished(ticket(each.job), each)
    await store.aclose()


@pytest.mark.usefixtures("job_folder")
def test_without_jobs(text_snapshot: SnapshotAssertion) -> None:
    assert printed(
        ["jobs"],
        ["circuits"],
        ["secrets"],
        ["secrets", "rules"],
        ["history"],
        ["dead-letters", "list"],
        ["incidents", "list"],
        ["silences", "list"],
        ["windows", "list"],
        ["channels", "list"],
    ) == (text_snapshot)


def test_without_runs_and_with_filters_that_match_nothing(job_folder: Path, text_snapshot: SnapshotAssertion) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")
    lines = (
        ["jobs", "--kind", "dns", "--tag", "team=shop"],
        ["history", "checkout-api"],
        ["history", "checkout-api", "--outcome", "failed"],
        ["history", "chekout-api"],
        ["history", "checkout-api@20260301T120000.000Z"],
        ["dead-letters", "list", "--job", "checkout-api"],
        ["dead-letters", "show", "x"],
        ["cancel", "checkout-api@20260301T120000.000Z"],
        ["circuits", "reset", "checkout-api"],
        ["secrets", "refresh", "token"],
        ["incidents", "list", "--job", "chekout-api"],
        ["incidents", "show", "x"],
        ["silences", "end", "x"],
        ["windows", "end", "rollout"],
        ["channels", "undelivered", "team"],
    )
    assert printed(*lines) == text_snapshot


def printed(*lines: list[str]) -> str:
    """What each command prints to a person, and its exit code."""
    output = [(words, invoke(*words, terminal=True)) for words in lines]
    return "\n".join(
        f"$ {' '.join(words)}\n{each.stdout}{each.stderr}exit code {each.code}\n" for words, each in output
    )
