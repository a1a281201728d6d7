"""`history`: runs of a job or of all, newest first; or one run."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.runs import StartWait, Ticket, WaitReason
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.invocation import invoke, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs
from tests.scheduler.stores.samples import run_of, ticket


@pytest.fixture
async def _three_runs(job_folder: Path) -> AsyncIterator[None]:
    """The oldest failed, the others succeeded."""
    async with HttpTarget() as target:
        target.sequence("/health", 500, 200)
        write_jobs(job_folder, checkout_api=f"{target.url}/health", idle=f"{target.url}/health")
        for _ in range(3):
            await invoke_concurrently("run", "checkout-api")
        yield


@pytest.mark.usefixtures("_three_runs")
async def test_runs_are_lines_of_tabs_in_a_pipe_newest_first() -> None:
    output = await invoke_concurrently("history", "checkout-api")

    rows = [line.split("\t") for line in output.lines]
    assert (output.code, output.stderr) == (0, "")
    assert rows[0] == [
        "due_at",
        "outcome",
        "attempts",
        "duration_ms",
        "lateness_ms",
        "error",
        "message",
        "trigger",
        "id",
    ]
    assert [row[1] for row in rows[1:]] == ["succeeded", "succeeded", "failed"]
    assert [row[0] for row in rows[1:]] == sorted((row[0] for row in rows[1:]), reverse=True)
    assert rows[3][2] == "1"
    assert float(rows[3][3]) > 0
    assert rows[3][5] == "unexpected_status"
    assert rows[3][6].startswith("Answered 500 Internal Server Error")
    assert rows[3][7] == "manual"
    assert rows[3][8].startswith("checkout-api@")


@pytest.mark.usefixtures("_three_runs")
async def test_a_terminal_shows_a_table() -> None:
    output = await invoke_concurrently("history", "checkout-api", terminal=True)

    assert "what happened" in output.stdout
    assert "Answered 500 Internal Server Error, expected 2xx." in output.stdout


@pytest.mark.usefixtures("_three_runs")
async def test_a_limit_retains_the_newest() -> None:
    patches = {"scheduler.features.runs.commands._PAGE": 1}

    lines = (await invoke_concurrently("history", "checkout-api", "--limit", "2", patches=patches)).lines

    assert [line.split("\t")[1] for line in lines[1:]] == ["succeeded", "succeeded"]


@pytest.mark.usefixtures("_three_runs")
async def test_runs_are_chosen_by_outcome() -> None:
    reported = json.loads(
        (await invoke_concurrently("history", "checkout-api", "--outcome", "failed", "--json")).stdout
    )

    assert [run["outcome"] for run in reported["runs"]] == ["failed"]


@pytest.mark.usefixtures("_three_runs")
async def test_a_job_that_is_gone_still_has_its_history(job_folder: Path) -> None:
    write_jobs(job_folder)

    assert len((await invoke_concurrently("history", "checkout-api")).lines) == 4


@pytest.mark.usefixtures("_three_runs")
async def test_a_job_without_runs_reports_it_on_stderr() -> None:
    output = await invoke_concurrently("history", "idle")

    assert (output.code, output.stderr, len(output.lines)) == (0, "idle has no runs yet\n", 1)
    output = await invoke_concurrently("history", "checkout-api", "--outcome", "timed_out", terminal=True)
    assert output.stdout == ""
    assert output.stderr.startswith("checkout-api has no runs that are timed_out; its newest run: due ")


async def test_a_run_that_is_not_finished_shows_its_state(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")
    store = await open_sqlite(job_folder.parent / "state.db", StoreAccess.SHARED)
    await Runs(store).enqueue(Ticket.requested("checkout-api", datetime.now(UTC), ""))
    await store.aclose()

    output = await invoke_concurrently("history", "checkout-api")

    assert output.lines[1].split("\t")[1:-1] == ["queued", "", "", "", "", "", "manual"]
    assert "queued" in (await invoke_concurrently("history", "checkout-api", terminal=True)).stdout


def test_a_job_is_unknown_is_suggested_and_ends_with_2(job_folder: Path) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")

    output = invoke("history", "chekout-api")

    assert (output.code, output.stdout) == (2, "")
    assert "did you mean checkout-api?" in output.stderr


def test_an_unknown_outcome_ends_with_2(job_folder: Path) -> None:
    output = invoke("history", "checkout-api", "--outcome", "broken")

    assert (output.code, output.stdout) == (2, "")
    assert "succeeded, failed" in output.stderr


@pytest.mark.usefixtures("_three_runs")
async def test_without_a_job_the_runs_of_all_are_shown() -> None:
    await invoke_concurrently("run", "idle")

    output = await invoke_concurrently("history")
    shown = await invoke_concurrently("history", terminal=True)

    assert [line.split("\t")[-1].partition("@")[0] for line in output.lines[1:]] == ["idle"] + ["checkout-api"] * 3
    assert [line.split()[0] for line in shown.lines if "succeeded" in line or "failed" in line] == [
        "idle",
        *["checkout-api"] * 3,
    ]
    nothing = (await invoke_concurrently("history", "--outcome", "queued")).stderr
    assert nothing.startswith("there are no runs that are queued; the newest run: due ")


@pytest.mark.usefixtures("_three_runs")
async def test_one_run_is_shown_with_its_attempts() -> None:
    run_id = (await invoke_concurrently("history", "checkout-api", "--outcome", "failed")).lines[1].split("\t")[-1]

    output = await invoke_concurrently("history", run_id)
    shown = await invoke_concurrently("history", run_id, terminal=True)
    reported = await invoke_concurrently("history", run_id, "--json")

    assert (output.code, output.lines[0].partition(" in ")[0]) == (0, "checkout-api failed after 1 attempt")
    assert output.lines[2].startswith("attempt\tstarted_at\tstatus")
    assert f"run {run_id} (manual), due " in shown.stdout
    assert json.loads(reported.stdout)["id"] == run_id


@pytest.mark.usefixtures("_three_runs")
async def test_a_run_that_waits_is_shown_as_such_and_one_that_is_missing_is_reported(job_folder: Path) -> None:
    store = await open_sqlite(job_folder.parent / "state.db", StoreAccess.SHARED)
    ticket = Ticket.requested("checkout-api", datetime.now(UTC), "")
    await Runs(store).enqueue(ticket)
    await store.aclose()

    waits = await invoke_concurrently("history", ticket.id)
    both = await invoke_concurrently("history", ticket.id, "--outcome", "queued")
    nothing = await invoke_concurrently("history", "checkout-api@20261125T015030.000Z")

    assert (waits.code, waits.stdout) == (0, "checkout-api queued\n")
    assert (both.code, both.stdout) == (2, "")
    assert (nothing.code, nothing.stdout) == (1, "")
    assert nothing.stderr.startswith("there is no run 'checkout-api@20261125T015030.000Z'")


async def test_a_late_run_says_what_it_waited_for(job_folder: Path) -> None:
    write_jobs(job_folder, checkout="http://127.0.0.1:9/")
    waits = (StartWait(WaitReason.PLACE, 3900.0, "limit of concurrency group payments"),)
    store = await open_sqlite(job_folder.parent / "state.db", StoreAccess.SHARED)
    for due, late in ((ticket(), 4.0), (ticket(seconds=60), 0.5)):
        run = replace(run_of(due), started_at=due.due_at + timedelta(seconds=late), waits=waits)
        await Runs(store).insert_finished(due, run)
    await store.aclose()

    listed = await invoke_concurrently("history", "checkout", terminal=True)
    piped = await invoke_concurrently("history", "checkout")
    shown = await invoke_concurrently("history", ticket().id, terminal=True)
    lines = await invoke_concurrently("history", ticket().id)
    reported = await invoke_concurrently("history", "checkout", "--json")

    sentence = "Started 4 s late: waited 3.9 s for a place (limit of concurrency group payments)."
    assert sentence in shown.stdout
    assert f"late\t{sentence}" in lines.lines
    # A list names only notable lateness, and lines for programs have the same fields as before.
    assert listed.stdout.count("late: waited") == 1
    assert [line.split("\t")[6] for line in piped.lines[1:]] == ["", ""]
    place = {"reason": "place", "duration_ms": 3900.0, "detail": "limit of concurrency group payments"}
    assert [run["waits"] for run in json.loads(reported.stdout)["runs"]] == [[place], [place]]


async def test_a_degraded_run_is_shown_as_such(job_folder: Path) -> None:
    async with HttpTarget() as target:
        expect = [{"header": "x-cache", "equals": "HIT", "severity": "degraded"}]
        write_jobs(job_folder, shop={"check": {"url": target.url}, "expect": expect})
        ran = await invoke_concurrently("run", "shop")

    shown = await invoke_concurrently("history", "shop", terminal=True)
    reported = await invoke_concurrently("history", "shop", "--json")

    assert (ran.code, ran.lines[0].partition(" after ")[0]) == (0, "shop succeeded, degraded")
    assert "Degraded: header x-cache: expected 'HIT', observed no such header." in ran.stdout
    assert "succeeded, degraded" in shown.stdout
    assert json.loads(reported.stdout)["runs"][0]["degraded"] is True


@pytest.mark.usefixtures("_three_runs")
async def test_runs_are_chosen_by_when_they_were_due() -> None:
    newest, _, oldest = [
        line.split("\t")[0] for line in (await invoke_concurrently("history", "checkout-api")).lines[1:]
    ]

    recent = await invoke_concurrently("history", "checkout-api", "--from", "1h")
    first = await invoke_concurrently("history", "--to", oldest)
    failed = await invoke_concurrently(
        "history", "checkout-api", "--from", oldest, "--to", newest, "--outcome", "failed"
    )

    assert (len(recent.lines), len(first.lines), len(failed.lines)) == (4, 2, 2)


@pytest.mark.usefixtures("_three_runs")
async def test_an_interval_without_runs_reports_it_and_which_run_is_the_newest() -> None:
    newest = (await invoke_concurrently("history", "checkout-api")).lines[1].split("\t")[0]
    shown = f"{newest[:19]}Z"

    early = await invoke_concurrently("history", "checkout-api", "--to", "2020-01-01T00:00:00Z")
    both = await invoke_concurrently("history", "--outcome", "failed", "--to", "2020-01-01T00:00:00Z")
    rejected = await invoke_concurrently("history", "checkout-api", "--outcome", "rejected")
    idle = await invoke_concurrently("history", "idle", "--from", "1h")

    due = "due up to 2020-01-01T00:00:00Z"
    assert (early.code, len(early.lines)) == (0, 1)
    assert early.stderr == f"checkout-api has no runs that are {due}; its newest run: due {shown}, succeeded\n"
    assert both.stderr == f"there are no runs that are failed and {due}; the newest run: due {shown}, succeeded\n"
    assert rejected.stderr == (f"checkout-api has no runs that are rejected; its newest run: due {shown}, succeeded\n")
    assert idle.stderr == "idle has no runs yet\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--from", "yesterday"], "--from: 'yesterday' is neither an instant nor a duration: use an instant such as"),
        (["--from", "1h", "--to", "2h"], "--from: "),
        (["checkout-api@20261125T015030.000Z", "--from", "1h"], "--from and --to apply to the runs of a job"),
    ],
)
def test_an_interval_that_is_none_ends_with_2(job_folder: Path, options: list[str], message: str) -> None:
    write_jobs(job_folder, checkout_api="http://127.0.0.1:9/")
    output = invoke("history", *options)

    assert (output.code, output.stdout) == (2, "")
    assert output.stderr.startswith(message)
