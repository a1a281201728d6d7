"""Steering a running server from another terminal: pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.parts.command_line import CommandLine, Row
from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.slow
async def test_a_pause_with_an_end_is_shown_holds_and_ends_by_itself(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    every_second = {"schedule": "* * * * * *", "overlap": "allow"}  # on a busy machine a run can take longer
    async with HttpTarget() as target, embedded(tmp_path, {"booking": job(target.url, **every_second)}) as host:
        await target.wait_for_requests(1, timeout=20)
        output = await line("pause", "booking", "--for", "9s", "--reason", "deployment of booking")
        (shown,) = await line.rows("jobs")
        (reported,) = (await line.json("jobs"))["jobs"]
        end = instant(reported["pause"]["until"])
        runs = await line.until_history("booking", lambda runs: bool(due(runs, "succeeded", since=end)))
        (again,) = await line.rows("jobs")
        await host.stop()

    assert output.code == 0
    assert output.stdout.startswith("booking is paused until ")
    assert output.stdout.endswith(": deployment of booking\n")
    assert shown["pause"] == f"paused until {end:%Y-%m-%d %H:%M:%S}Z: deployment of booking"
    assert instant(shown["next_at"]) >= end
    skipped = due(runs, "skipped")
    assert {run["message"] for run in runs if run["outcome"] == "skipped"} == {f"the job is {shown['pause']}"}
    assert not [at for at in due(runs, "succeeded", since=min(skipped)) if at < end]
    assert (min(due(runs, "succeeded", since=end)) - end).total_seconds() < 1  # the first instant after it
    assert again["pause"] == ""


def due(runs: Sequence[Row], outcome: str, since: datetime | None = None) -> list[datetime]:
    """Due instants of the runs that ended so."""
    instants = (instant(run["due_at"]) for run in runs if run["outcome"] == outcome)
    return [at for at in instants if since is None or at >= since]


@pytest.mark.slow
async def test_a_pause_without_an_end_outlives_a_restart_and_ends_when_it_is_resumed(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    async with HttpTarget() as target:
        jobs = {"booking": job(target.url, "* * * * * *")}
        async with embedded(tmp_path, jobs) as host:
            await target.wait_for_requests(1, timeout=20)
            await host.stop()
        paused = await line("pause", "booking")
        requested = len(target.requests)
        async with embedded(tmp_path, jobs) as host:
            await line.until_history("booking", lambda runs: bool(due(runs, "skipped")))
            on_demand = await line("run", "booking")
            requested_meanwhile = len(target.requests) - requested
            resumed = await line("resume", "booking")
            await target.wait_for_requests(requested + 2, timeout=20)
            again = await line("resume", "booking")
            await host.stop()

    assert (paused.code, paused.stdout) == (0, "booking is paused until it is resumed\n")
    assert on_demand.code == 0
    assert requested_meanwhile == 1
    assert (resumed.code, resumed.stdout) == (0, "booking was resumed\n")
    assert (again.code, again.stdout) == (0, "booking was not paused\n")


async def started(host: Host, name: str) -> str:
    """The id of a run that the server begins; it goes on behind its back."""
    answer = await host.client.post(f"/api/jobs/{name}/run")
    run_id: str = answer.json()["id"]
    return run_id


async def test_a_running_run_of_the_server_is_ended_from_the_command_line(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    async with HttpTarget() as target:
        target.hold("/slow")
        async with embedded(tmp_path, {"report": job(f"{target.url}/slow", timeout={"run": "60s"})}) as host:
            run_id = await started(host, "report")
            await target.wait_for_requests(1, timeout=20)
            (running,) = await line.rows("history", "report", "--outcome", "running")
            output = await line("cancel", run_id)
            (ended,) = await line.rows("history", "report")
            again = await line("cancel", run_id)
            await host.stop()

    assert running["id"] == run_id
    assert (output.code, output.stdout, output.stderr) == (0, f"{run_id} is cancelled\n", "")
    assert (ended["outcome"], ended["attempts"]) == ("cancelled", "0")
    assert "on the command line" in ended["message"]
    assert (again.code, again.stdout) == (1, "")
    assert again.stderr == f"run {run_id} is already finished: cancelled\n"


async def test_a_queued_run_is_cancelled_at_once_and_never_begins(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    async with HttpTarget() as target:
        gate = target.hold("/slow")
        jobs = {"report": job(f"{target.url}/slow"), "booking": job(f"{target.url}/book")}
        async with embedded(tmp_path, jobs, SCHEDULER_CONCURRENCY="1") as host:
            in_flight = await started(host, "report")
            await target.wait_for_requests(1, timeout=20)
            queued = await started(host, "booking")
            (waits,) = await line.rows("history", "booking")
            reported = await line.json("cancel", queued)
            gate.set()
            (done,) = await line.until_history("report", lambda runs: runs[0]["outcome"] == "succeeded")
            later = await host.run("booking")
            history = await line.rows("history", "booking")
            await host.stop()

    assert (waits["id"], waits["outcome"]) == (queued, "queued")
    assert (reported["id"], reported["outcome"], reported["attempts"]) == (queued, "cancelled", [])
    assert done["id"] == in_flight
    assert [(run["id"], run["outcome"]) for run in history] == [(later["id"], "succeeded"), (queued, "cancelled")]
    assert len(target.requests_to("/book")) == 1
