"""`cancel`: runs that wait, and runs of a server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.runs import Ticket
from scheduler.stores.gates import Cancellations
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.cli.invocation import invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs


@pytest.fixture
async def store(job_folder: Path) -> AsyncIterator[Store]:
    """The state of a server beside which the command is given."""
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")
    store = await open_sqlite(job_folder.parent / "state.db", StoreAccess.SHARED)
    yield store
    await store.aclose()


async def test_a_run_that_waits_is_cancelled(store: Store) -> None:
    ticket = Ticket.requested("checkout-api", datetime.now(UTC), "")
    await Runs(store).enqueue(ticket)

    output = await invoke_concurrently("cancel", ticket.id)
    history = await invoke_concurrently("history", "checkout-api")

    assert (output.code, output.stdout, output.stderr) == (0, f"{ticket.id} is cancelled\n", "")
    assert history.lines[1].split("\t")[1] == "cancelled"
    assert "Cancelled on the command line" in history.stdout
    again = await invoke_concurrently("cancel", ticket.id)
    assert (again.code, again.stdout) == (1, "")
    assert "is already finished: cancelled" in again.stderr


async def test_a_cancelled_run_is_shown_as_json(store: Store) -> None:
    ticket = Ticket.requested("checkout-api", datetime.now(UTC), "")
    await Runs(store).enqueue(ticket)

    output = await invoke_concurrently("cancel", ticket.id, "--json")

    assert json.loads(output.stdout)["outcome"] == "cancelled"


async def test_a_server_is_queried_to_end_its_run(store: Store) -> None:
    now = datetime.now(UTC)
    ticket = Ticket.requested("checkout-api", now, "")
    await Runs(store).claim(ticket, "server", now + timedelta(minutes=1), now)

    output = await invoke_concurrently(
        "cancel", ticket.id, patches={"scheduler.features.runs.commands._CANCEL_TIMEOUT": 0.05}
    )

    assert (output.code, output.stdout) == (1, "")
    assert output.stderr == f"{ticket.id} has not ended yet; its process cancels it when it reads the request\n"
    assert await Cancellations(store).list_requested(now) == {ticket.id: "on the command line"}


async def test_a_terminal_shows_the_id_of_a_run_that_can_be_cancelled(store: Store) -> None:
    ticket = Ticket.requested("checkout-api", datetime.now(UTC), "")
    await Runs(store).enqueue(ticket)

    assert ticket.id in (await invoke_concurrently("history", "checkout-api", terminal=True)).stdout


async def test_a_run_that_is_missing_ends_with_1(store: Store) -> None:
    output = await invoke_concurrently("cancel", "checkout-api@20260301T120000.000Z")

    assert (output.code, output.stdout) == (1, "")
    assert "there is no run" in output.stderr
    assert output.stderr.endswith("; `history JOB` shows the ids of its runs\n")
