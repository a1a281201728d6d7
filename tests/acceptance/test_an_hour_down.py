"""An hour in which no server ran: what each catch-up policy makes of it, what history says, and a backfill afterwards.

The hour is played: a server runs, is stopped, and what it noted of its time is moved back by an hour.
"""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.schedules import Schedule, parse_schedule
from scheduler.stores.port import Upsert
from scheduler.stores.schedules import CURSORS_TABLE, PLANNED_UNTIL_CURSOR, SCHEDULES_TABLE
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.parts.command_line import CommandLine, Row
from tests.parts.host import embedded, job
from tests.parts.http_target import HttpTarget

HOUR = timedelta(hours=1)
POLICIES: Mapping[str, dict[str, str]] = {
    "none": {"policy": "none"},
    "last": {"policy": "last"},
    "last-soon": {"policy": "last", "within": "2m"},
    "all": {"policy": "all", "within": "20m"},
}

OLD = ("--before-first-version",)
"""For a backfill of an hour in which the job did not exist yet."""
ROWS = {"none": 1, "last": 2, "last-soon": 1, "all": 3}
"""How many runs history has of each in the end; the tests say which."""


def is_decided(rows: int) -> Callable[[Sequence[Row]], bool]:
    return lambda runs: len(runs) == rows and not {run["outcome"] for run in runs} & {"queued", "running"}


def every_ten_minutes(now: datetime) -> Mapping[str, object]:
    """Due five minutes ago and in five minutes, so that no test meets an instant by accident."""
    return {"every": "10m", "offset": f"{round(now.timestamp() + 300) % 600}s"}


async def an_hour_passes(path: Path) -> None:
    """For a stopped server: how far it had come, and since when it knows its schedules."""
    store = await open_sqlite(path, StoreAccess.OWN)
    for table, partition, field in (
        (CURSORS_TABLE, PLANNED_UNTIL_CURSOR, "instant"),
        (SCHEDULES_TABLE, "all", "since"),
    ):
        for row in await store.list_rows(table, partition, limit=100):
            body = json.loads(row.body)
            body[field] = (datetime.fromisoformat(body[field]) - HOUR).isoformat()
            await store.apply(Upsert(table, partition, row.key, json.dumps(body)))
    await store.aclose()


@dataclass(frozen=True)
class After:
    """The hour, the instants that fell due in it, oldest first, and each job's history, newest first."""

    missed: Sequence[str]
    history: Mapping[str, Sequence[Row]]
    asked: Mapping[str, int]

    def outcomes(self, name: str) -> Mapping[str, str]:
        """By due instant."""
        return {run["due_at"]: run["outcome"] for run in self.history[name]}

    def skipped(self, name: str) -> Row:
        """The one run that stands for all that was left out."""
        (row,) = [run for run in self.history[name] if run["outcome"] == "skipped"]
        return row


async def after_an_hour_down(folder: Path) -> After:
    line = CommandLine(folder)
    spec = every_ten_minutes(datetime.now(UTC))
    async with HttpTarget() as target:
        jobs = {
            name: job(f"{target.url}/{name}", catch_up=policy) | {"schedule": spec} for name, policy in POLICIES.items()
        }
        async with embedded(folder, jobs) as host:
            await host.stop()
        stopped = datetime.now(UTC)
        await an_hour_passes(folder / "state.db")
        async with embedded(folder, jobs) as host:
            history = {name: await line.until_history(name, is_decided(rows)) for name, rows in ROWS.items()}
            await host.stop()
        asked = {name: len(target.requests_to(f"/{name}")) for name in jobs}
    return After(missed_between(spec, stopped - HOUR, stopped), history, asked)


def missed_between(spec: object, start: datetime, end: datetime) -> list[str]:
    schedule: Schedule = parse_schedule(spec)
    found: list[str] = []
    at = schedule.next_after(start)
    while at is not None and at < end:
        found.append(f"{at:%Y-%m-%dT%H:%M:%S.000Z}")
        at = schedule.next_after(at)
    return found


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> After:
    return asyncio.run(after_an_hour_down(tmp_path_factory.mktemp("down")))


def test_none_runs_nothing_of_it_and_one_skipped_run_reports_since_when(after: After) -> None:
    first, last = after.missed[0], after.missed[-1]

    assert len(after.missed) == 6
    assert after.outcomes("none") == {last: "skipped"}
    assert after.skipped("none")["message"] == (
        "it was due while no scheduler was running, or while the scheduler stalled, as were the "
        f"instants without a run since {first[:10]} {first[11:19]}Z (catch_up: none)"
    )
    assert after.asked["none"] == 0


def test_last_runs_the_latest_of_it(after: After) -> None:
    *_, before, last = after.missed

    assert after.outcomes("last") == {last: "succeeded", before: "skipped"}
    assert "(catch_up: last)" in after.skipped("last")["message"]
    assert after.asked["last"] == 1


def test_what_is_older_than_within_is_not_run(after: After) -> None:
    assert after.outcomes("last-soon") == {after.missed[-1]: "skipped"}
    assert after.asked["last-soon"] == 0


def test_all_runs_each_that_is_not_older_than_within_and_skips_the_others(after: After) -> None:
    *_, before, first, last = after.missed

    assert after.outcomes("all") == {last: "succeeded", first: "succeeded", before: "skipped"}
    assert "as were the instants without a run since" in after.skipped("all")["message"]
    assert after.asked["all"] == 2


def test_what_is_caught_up_is_as_late_as_it_is(after: After) -> None:
    late = [float(run["lateness_ms"]) for run in after.history["all"] if run["outcome"] == "succeeded"]

    assert [round(ms / 60_000) for ms in late] == [5, 15]


async def test_a_backfill_runs_exactly_what_fell_due_after_a_read(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    now = datetime.now(UTC)
    since = f"{now - HOUR:%Y-%m-%dT%H:%M:%SZ}"
    async with HttpTarget() as target:
        jobs: dict[str, Any] = {
            "booking": job(target.url) | {"schedule": every_ten_minutes(now)},
            "asked": job(target.url),
        }
        async with embedded(tmp_path, jobs) as host:
            due = (await line("next", "booking", "--from", since, "--count", "6")).stdout.split()
            before = await line("backfill", "booking", "--from", since)
            look = await line("backfill", "booking", *OLD, "--from", since, "--dry-run")
            reported = await line.json("backfill", "booking", *OLD, "--from", since, "--dry-run")
            checked = len(target.requests), len(await line.rows("history", "booking"))
            refused = await line("backfill", "booking", *OLD, "--from", since, "--limit", "5")
            never = await line("backfill", "asked", "--from", since)
            done = await line("backfill", "booking", *OLD, "--from", since, "--limit", "6")
            again = await line("backfill", "booking", *OLD, "--from", since)
            history, uptime = await line.rows("history", "booking"), await line("uptime", "booking")
            sent = [request.headers["idempotency-key"] for request in target.requests]
            await host.stop()

    ids = look.stdout.split()
    assert (before.code, before.stdout) == (2, "")
    assert "are before the first version of job booking, in force since " in before.stderr
    assert (look.code, look.stderr, checked) == (0, "6 due instants to be run; 0 ran already\n", (0, 0))
    assert [run["due_at"] for run in reported["runs"]] == due
    assert [run["id"] for run in reported["runs"]] == ids
    assert (refused.code, refused.stdout, len(sent)) == (2, "", 6)
    assert refused.stderr.startswith(
        "--limit: the range needs 6 runs, more than the limit of 5: shorten the range, or raise the limit"
    )
    assert (never.code, never.stderr) == (1, "job asked has no schedule, so it has no due instants\n")
    assert (done.code, done.stderr) == (0, "6 due instants run; 0 ran already\n")
    assert [line.split("\t")[-1] for line in done.stdout.splitlines()[1:]] == ids == sent
    assert (again.code, again.stderr) == (0, "0 due instants run; 6 ran already\n")
    assert [(run["id"], run["outcome"]) for run in history] == [(run_id, "succeeded") for run_id in reversed(ids)]
    assert "booking has no run that counts for uptime" in uptime.stderr


async def test_a_backfill_after_an_hour_down_runs_the_whole_hour(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    now = datetime.now(UTC)
    async with HttpTarget() as target:
        jobs = {"booking": job(target.url) | {"schedule": every_ten_minutes(now)}}
        async with embedded(tmp_path, jobs) as host:
            await host.stop()
        await an_hour_passes(tmp_path / "state.db")
        async with embedded(tmp_path, jobs) as host:
            await line.until_history("booking", lambda runs: len(runs) == 1)
            done = await line("backfill", "booking", "--from", (now - HOUR).isoformat())
            history = await line.json("history", "booking")
            await host.stop()

    assert (done.code, done.stderr) == (0, "6 due instants run, 1 of which was skipped; 0 ran already\n")
    assert len(target.requests) == 6
    newest, skipped = sorted((run for run in history["runs"][:2]), key=lambda run: run["outcome"], reverse=True)
    assert (newest["outcome"], skipped["outcome"]) == ("succeeded", "skipped")
    assert newest["due_at"] == skipped["due_at"]
    assert (newest["id"], newest["correlation_id"]) == (f"{skipped['id']}.again1", skipped["id"])


async def test_a_backfill_that_is_interrupted_reports_how_to_continue_and_does(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    now = datetime.now(UTC)
    backfill = ("backfill", "booking", *OLD, "--from", (now - HOUR).isoformat())
    async with HttpTarget() as target:
        gate = target.hold("/book")
        jobs = {"booking": job(f"{target.url}/book") | {"schedule": every_ten_minutes(now)}}
        async with embedded(tmp_path, jobs) as host:
            async with line.start(*backfill) as program:
                await target.wait_for_requests(1, timeout=20)
                program.signal(signal.SIGINT)
                code = await program.exited()
            gate.set()
            again = await line(*backfill)
            history = await line.rows("history", "booking")
            await host.stop()

    assert (code, program.stdout) == (130, "")
    assert "interrupted: 5 runs stay queued: repeat the command to run them now" in program.stderr
    assert (again.code, again.stderr) == (0, "5 due instants run; 1 ran already\n")
    assert [run["outcome"] for run in history] == ["succeeded"] * 5 + ["cancelled"]
