"""Jobs that depend on others, beside a real server: what runs after what, what is left out and why, by history."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.parts.command_line import CommandLine, Row
from tests.parts.host import embedded, job
from tests.parts.http_target import HttpTarget

FOLLOWERS = {"report": "succeeded", "alarm": "failed", "cleanup": "finished"}
"""By the condition under which each follows the database."""


@dataclass(frozen=True)
class Followed:
    """Each follower's run after the database was well, and after it was down."""

    root: Mapping[str, Row]
    well: Mapping[str, Row]
    down: Mapping[str, Row]


async def followed(folder: Path) -> Followed:
    line = CommandLine(folder)
    async with HttpTarget() as target:
        jobs = {
            name: job(target.url, depends_on=[{"job": "database", "condition": condition}])
            for name, condition in FOLLOWERS.items()
        }
        async with embedded(folder, {"database": job(f"{target.url}/db"), **jobs}) as host:
            await line("run", "database")
            well = {name: (await line.until_history(name, have_ended(1)))[0] for name in FOLLOWERS}
            target.on("/db", 500)
            await line("run", "database")
            down = {name: (await line.until_history(name, have_ended(2)))[0] for name in FOLLOWERS}
            down_root, well_root = await line.rows("history", "database")
            await host.stop()
    return Followed({"well": well_root, "down": down_root}, well, down)


def have_ended(number: int) -> Any:
    return lambda runs: len(runs) >= number and not {run["outcome"] for run in runs} & {"queued", "running"}


@pytest.fixture(scope="module")
def after(tmp_path_factory: pytest.TempPathFactory) -> Followed:
    return asyncio.run(followed(tmp_path_factory.mktemp("followed")))


def test_succeeded_runs_after_a_success_and_reports_for_a_failure_why_not(after: Followed) -> None:
    assert (after.well["report"]["outcome"], after.down["report"]["outcome"]) == ("succeeded", "skipped")
    assert after.down["report"]["message"] == (
        f"dependency run {after.root['down']['id']} failed (condition: succeeded)"
    )


def test_failed_runs_after_a_failure_and_reports_for_a_success_why_not(after: Followed) -> None:
    assert (after.well["alarm"]["outcome"], after.down["alarm"]["outcome"]) == ("skipped", "succeeded")
    assert after.well["alarm"]["message"] == (
        f"dependency run {after.root['well']['id']} succeeded (condition: failed)"
    )


def test_finished_runs_either_way(after: Followed) -> None:
    assert (after.well["cleanup"]["outcome"], after.down["cleanup"]["outcome"]) == ("succeeded", "succeeded")


async def test_a_scheduled_job_runs_only_within_the_time_after_the_other(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    async with HttpTarget() as target:
        requested = {"depends_on": [{"job": "database", "within": "3s"}]}
        jobs = {"database": job(target.url), "report": job(target.url, "* * * * * *", **requested)}
        async with embedded(tmp_path, jobs) as host:
            before = await line.until_history("report", lambda runs: has("skipped", runs))
            await line("run", "database")
            runs = await line.until_history("report", is_over_again)
            await host.stop()

    assert newest(before)["message"] == "dependency database has not run yet"
    last = newest(runs)["message"]
    assert last.startswith("dependency run database@")
    assert last.endswith("s ago (within: 3s)")


def is_over_again(runs: Sequence[Row]) -> bool:
    """It ran, and is left out again because the other one's run is too long ago."""
    return "within: 3s" in newest(runs)["message"] and has("succeeded", runs)


def newest(runs: Sequence[Row]) -> Row:
    """The one that ended last; those before it are due in this moment."""
    return next(run for run in runs if run["outcome"] in ("succeeded", "skipped"))


async def test_a_scheduled_job_waits_for_the_other_as_long_as_it_may(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    async with HttpTarget() as target:
        jobs = {"database": job(target.url)}
        for name, wait in (("patient", "60s"), ("impatient", "1s")):
            jobs[name] = job(target.url, "every 5s", depends_on=[{"job": "database", "wait": wait}])
        async with embedded(tmp_path, jobs) as host:
            impatient = await line.until_history("impatient", lambda runs: has("skipped", runs))
            meanwhile = await line.rows("history", "patient")
            await line("run", "database")
            patient = await line.until_history("patient", lambda runs: has("succeeded", runs))
            await host.stop()

    reason = "dependency database has not run yet; it waited 1s for that"
    assert reason in {run["message"] for run in impatient}
    waits = meanwhile[-1]
    assert waits["outcome"] in ("queued", "running")
    first = patient[-1]
    assert (first["id"], first["outcome"]) == (waits["id"], "succeeded")
    assert float(first["lateness_ms"]) > 1000


def has(outcome: str, runs: Sequence[Row]) -> bool:
    return any(run["outcome"] == outcome for run in runs)


DIAMOND = {"left": ["root"], "right": ["root"], "join": ["left", "right"], "end": ["join"]}


async def test_a_diamond_runs_its_join_once_and_has_one_correlation_id(tmp_path: Path) -> None:
    runs = await chains_of(tmp_path, schedule=None)

    assert sorted(run["job"] for run in runs) == sorted(["root", *DIAMOND])
    (root,) = [run for run in runs if run["job"] == "root"]
    assert {(run["correlation_id"], run["outcome"]) for run in runs} == {(root["id"], "succeeded")}
    assert {run["trigger"] for run in runs if run["job"] != "root"} == {"dependency"}


async def test_each_due_instant_begins_a_chain_of_its_own(tmp_path: Path) -> None:
    runs = await chains_of(tmp_path, schedule="every 3s")

    ends = [run for run in runs if run["job"] == "end"]
    chains = {
        end["correlation_id"]: [run for run in runs if run["correlation_id"] == end["correlation_id"]] for end in ends
    }
    assert len(ends) == len(chains) >= 2
    assert all(sorted(run["job"] for run in chain) == sorted(["root", *DIAMOND]) for chain in chains.values())
    assert {run["id"] for run in runs if run["job"] == "root"} >= set(chains)


async def chains_of(folder: Path, schedule: str | None) -> list[dict[str, Any]]:
    """All runs of the diamond, begun by the command or by the schedule."""
    line = CommandLine(folder)
    async with HttpTarget() as target:
        jobs = {name: job(f"{target.url}/{name}", depends_on=others) for name, others in DIAMOND.items()}
        jobs["root"] = job(f"{target.url}/root", schedule)
        async with embedded(folder, jobs) as host:
            if schedule is None:
                await line("run", "root")
            await line.until_history("end", have_ended(1 if schedule is None else 2))
            # The end first: what comes before it in its chains is there by then.
            names = ("end", "join", "right", "left", "root")
            runs = [run for name in names for run in (await line.json("history", name))["runs"]]
            await host.stop()
    return runs


async def test_one_job_of_a_chain_that_does_not_run_is_why_those_after_it_do_not(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    async with HttpTarget() as target:
        target.on("/left", 500)
        jobs = {name: job(f"{target.url}/{name}", depends_on=others) for name, others in DIAMOND.items()}
        async with embedded(tmp_path, jobs | {"root": job(target.url)}) as host:
            await line("run", "root")
            (end,) = await line.until_history("end", have_ended(1))
            (join,) = await line.rows("history", "join")
            await host.stop()

    assert (join["outcome"], end["outcome"]) == ("skipped", "skipped")
    assert "dependency run left@" in join["message"]
    assert "failed (condition: succeeded)" in join["message"]
    assert f"dependency run {join['id']} was skipped" in end["message"]


CIRCLE = """\
jobs:
  a:
    check: {url: "http://127.0.0.1:9/"}
    depends_on: [c]
  b:
    check: {url: "http://127.0.0.1:9/"}
    depends_on:
      - {job: a}
  c:
    check: {url: "http://127.0.0.1:9/"}
    depends_on: [b]
  d:
    check: {url: "http://127.0.0.1:9/"}
    depends_on: [databse]
  database:
    check: {url: "http://127.0.0.1:9/"}
"""


async def test_a_circle_and_an_unknown_name_are_refused_with_file_and_line(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "jobs.yaml").write_text(CIRCLE)

    checked = await line("validate")
    reported = json.loads((await line("validate", "--json")).stdout)
    served = await line("serve", "--port", "0")
    listed = await line("jobs")

    assert (checked.code, served.code, listed.code) == (2, 2, 2)
    assert checked.stderr == served.stderr
    assert listed.stderr.startswith(checked.stderr)  # and then that the list is incomplete
    unknown, circle = checked.stderr.splitlines()
    assert unknown.startswith(f"{tmp_path}/jobs/jobs.yaml:14: jobs.d.depends_on[0]: there is no job named 'databse'")
    assert "did you mean database?" in unknown
    file = f"{tmp_path}/jobs/jobs.yaml"
    assert circle == (
        f"{file}:8: jobs.b.depends_on[0]: the jobs depend on each other in a cycle: "
        f"b ({file}:5) -> a ({file}:2) -> c ({file}:9) -> b; remove one of these entries"
    )
    assert [problem["line"] for problem in reported["problems"]] == [14, 8]
