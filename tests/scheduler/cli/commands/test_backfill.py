"""`backfill`: what fell due in a past interval and has not run."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from jobs.running.clocks import SystemClock
from jobs.running.run_factories import skipped_run
from jobs.runs import Ticket
from jobs.runs.outcomes import Reason, ReasonCode
from jobs.schedules import parse_schedule
from scheduler.stores.runs.repository import Runs
from scheduler.stores.schedules import ScheduleActivations
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite, sqlite_path
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.invocation import CommandResult, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs

FIRST = datetime(2025, 12, 31, tzinfo=UTC)
"""Since when the job is in force."""
FROM, TO = "2026-01-01T00:00:00Z", "2026-01-01T00:02:00Z"


@pytest.fixture
async def target(job_folder: Path) -> AsyncIterator[HttpTarget]:
    """The target of a job of each minute."""
    async with HttpTarget() as target:
        target.sequence("/book", 200)
        check = {"check": {"url": f"{target.url}/book"}, "retry": {"attempts": 1}}
        write_jobs(job_folder, booking={"schedule": "0 * * * * *", **check}, asked=check)
        store = await open_sqlite(job_folder.parent / "state.db", StoreAccess.SHARED)
        await ScheduleActivations(store).record_all([("booking", parse_schedule("0 * * * * *"))], FIRST)
        await store.aclose()
        yield target


async def backfill(*arguments: str, terminal: bool = False) -> CommandResult:
    return await invoke_concurrently("backfill", *arguments, terminal=terminal)


async def test_what_never_ran_is_run_and_requesting_again_runs_nothing(target: HttpTarget) -> None:
    output = await backfill("booking", "--from", FROM, "--to", TO)
    again = await backfill("booking", "--from", FROM, "--to", TO)

    rows = [line.split("\t") for line in output.lines]
    assert output.code == 0
    assert output.stderr == "3 due instants run; 0 ran already\n"
    assert [(row[0], row[1]) for row in rows[1:]] == [
        (f"2026-01-01T00:0{minute}:00.000Z", "succeeded") for minute in range(3)
    ]
    assert [row[-2] for row in rows] == ["trigger", "backfill", "backfill", "backfill"]
    assert len(target.requests) == 3
    assert (again.code, len(again.lines)) == (0, 1)
    assert again.stderr == "0 due instants run; 3 ran already\n"


async def test_a_read_first_runs_nothing(target: HttpTarget) -> None:
    output = await backfill("booking", "--from", FROM, "--to", TO, "--dry-run")
    reported = json.loads((await backfill("booking", "--from", FROM, "--to", TO, "--dry-run", "--json")).stdout)

    assert output.lines == [f"booking@20260101T000{minute}00.000Z" for minute in range(3)]
    assert [run["id"] for run in reported["runs"]] == output.lines
    assert target.requests == []


async def test_what_was_skipped_is_run_unless_it_is_to_be_left(target: HttpTarget) -> None:
    await invoke_concurrently("jobs")  # makes the store
    store = await open_sqlite(sqlite_path(os.environ["SCHEDULER_STORE"]), StoreAccess.SHARED)
    ticket = Ticket.scheduled("booking", datetime(2026, 1, 1, tzinfo=UTC), "")
    run = skipped_run(None, ticket, SystemClock(), Reason(ReasonCode.JOB_PAUSED, "the job is paused"))
    await Runs(store).insert_finished(ticket, run)
    await store.aclose()

    left = await backfill("booking", "--from", FROM, "--to", TO, "--dry-run", "--leave-skipped")
    look = await backfill("booking", "--from", FROM, "--to", TO, "--dry-run")
    output = await backfill("booking", "--from", FROM, "--to", TO)
    history = await invoke_concurrently("history", "booking")

    assert left.stderr == "2 due instants to be run; 0 ran already, 1 skipped left as they are\n"
    assert look.stderr == "3 due instants to be run, 1 of which was skipped; 0 ran already\n"
    assert look.lines == [line.split("\t")[-1] for line in output.lines[1:]]
    assert (output.code, len(target.requests)) == (0, 3)
    assert [line.split("\t")[1] for line in history.lines[1:]].count("skipped") == 1


async def test_a_terminal_shows_a_table_and_what_fails_ends_with_1(target: HttpTarget) -> None:
    target.sequence("/book", 500)

    output = await backfill("booking", "--from", FROM, "--to", FROM, terminal=True)

    assert output.code == 1
    assert "Answered 500" in output.stdout


async def test_instants_before_the_first_version_are_run_by_a_flag_alone(target: HttpTarget) -> None:
    interval = ("booking", "--from", "2025-12-30T23:59:00Z", "--to", "2025-12-31T00:01:00Z")
    refused = await backfill(*interval)
    done = await backfill(*interval, "--before-first-version")
    uptime = await invoke_concurrently("uptime", "booking")

    assert (refused.code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("--from: 2 of 3 due instants, the first at 2025-12-30 23:59:00Z, are before")
    assert (done.code, done.stderr) == (0, "3 due instants run; 0 ran already\n")
    assert "booking has no run that counts for uptime" in uptime.stderr


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("booking", "--from", "soon"), 2, "--from: expected an instant"),
        (("booking", "--from", "2999-01-01"), 2, "--from: 2999-01-01 00:00:00Z is in the future"),
        (("booking", "--from", FROM, "--to", "2999-01-01"), 2, "--to: 2999-01-01 00:00:00Z is in the future"),
        (("booking",), 2, "Missing option '--from'"),
        (("booking", "--from", FROM, "--to", "2025-01-01"), 2, "--from: 2026-01-01 00:00:00Z is after the end"),
        (
            ("booking", "--from", FROM, "--to", TO, "--limit", "2"),
            2,
            "--limit: the range needs 3 runs, more than the limit of 2: shorten the range, "
            "or raise the limit (at most 1000)",
        ),
        (("boking", "--from", FROM), 2, "did you mean booking?"),
        (("asked", "--from", FROM), 1, "job asked has no schedule, so it has no due instants"),
    ],
)
async def test_what_cannot_be_is_reported(arguments: tuple[str, ...], code: int, complaint: str) -> None:
    output = await backfill(*arguments)

    assert (output.code, output.stdout) == (code, "")
    assert complaint in output.stderr
