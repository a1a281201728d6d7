"""`dead-letters`: list, show, replay, discard."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.invocation import CommandResult, invoke_concurrently
from tests.scheduler.cli.job_files import write_jobs


@pytest.fixture
async def target(job_folder: Path) -> AsyncIterator[HttpTarget]:
    """Two runs of a job were given up; from now on its target is well."""
    async with HttpTarget() as target:
        target.sequence("/book", 500, 500, 200)
        job = {"check": {"url": f"{target.url}/book"}, "retry": {"attempts": 1}, "dead_letter": True}
        write_jobs(job_folder, booking=job, idle={"check": {"url": f"{target.url}/idle"}})
        for _ in range(2):
            await invoke_concurrently("run", "booking")
        yield target


async def letters(*arguments: str, terminal: bool = False) -> CommandResult:
    return await invoke_concurrently("dead-letters", *arguments, terminal=terminal)


async def ids() -> list[str]:
    """Newest first."""
    return [line.split("\t")[0] for line in (await letters("list")).lines[1:]]


@pytest.mark.usefixtures("target")
async def test_what_was_abandoned_is_lines_of_tabs_in_a_pipe() -> None:
    output = await letters("list", "--job", "booking")

    rows = [line.split("\t") for line in output.lines]
    assert (output.code, output.stderr, len(rows)) == (0, "", 3)
    assert rows[0] == ["id", "at", "job", "attempts", "error", "state", "replayed_by", "reason"]
    assert rows[1][2:7] == ["booking", "1", "unexpected_status", "waiting", ""]
    assert rows[1][7].startswith("Answered 500")
    assert len((await letters("list", "--limit", "1")).lines) == 2


@pytest.mark.usefixtures("target")
async def test_a_terminal_shows_a_table_and_json_is_that_of_the_api() -> None:
    assert "Answered 500" in (await letters("list", terminal=True)).stdout
    reported = json.loads((await letters("list", "--json")).stdout)
    assert [letter["job"] for letter in reported["dead_letters"]] == ["booking"] * 2


@pytest.mark.usefixtures("target")
async def test_a_job_without_letters_reports_it() -> None:
    output = await letters("list", "--job", "idle")

    assert (output.code, output.stderr, len(output.lines)) == (0, "idle has no dead letters\n", 1)


@pytest.mark.usefixtures("target")
async def test_one_is_shown_with_all_that_is_known() -> None:
    newest, _ = await ids()

    output = await letters("show", newest)
    reported = json.loads((await letters("show", newest, "--json")).stdout)

    assert output.code == 0
    assert f"id: {newest}" in output.lines
    assert "job: booking" in output.lines
    assert any(line.startswith("attempt 1: Answered 500") for line in output.lines)
    assert reported["definition"]["name"] == "booking"


async def test_a_letter_is_replayed_once_and_its_end_is_waited_for(target: HttpTarget) -> None:
    newest, _ = await ids()

    output = await letters("replay", newest)
    again = await letters("replay", newest)

    assert (output.code, output.lines[0].split(" after")[0]) == (0, "booking succeeded")
    assert len(target.requests) == 3
    assert (again.code, again.stdout) == (1, "")
    assert "was already replayed by run booking@" in again.stderr
    rows = [line.split("\t") for line in (await letters("list")).lines[1:]]
    assert [row[5] for row in rows] == ["replayed", "waiting"]


async def test_many_are_replayed_after_a_read(target: HttpTarget) -> None:
    checked = await letters("replay", "--reason", "answered 500", "--dry-run")
    assert (checked.code, len(checked.lines), len(target.requests)) == (0, 3, 2)

    output = await letters("replay", "--job", "booking", "--per-second", "50")

    assert (output.code, output.stderr) == (0, "")
    assert [line.split("\t")[1] for line in output.lines[1:]] == ["succeeded"] * 2
    assert len(target.requests) == 4
    nothing = await letters("replay", "--job", "booking")
    assert (nothing.code, nothing.stderr) == (0, "no dead letter that can be replayed matches\n")


@pytest.mark.usefixtures("target")
async def test_more_than_the_limit_is_reported_and_json_is_that_of_the_api() -> None:
    output = await letters("replay", "--job", "booking", "--limit", "1", "--json")

    reported = json.loads(output.stdout)
    assert ([letter["state"] for letter in reported["dead_letters"]], reported["remaining"]) == (["replayed"], 1)
    assert "1 more match: raise --limit" in output.stderr


async def test_a_replay_that_does_not_succeed_ends_with_1(target: HttpTarget) -> None:
    target.sequence("/book", 500)
    oldest = (await ids())[-1]

    output = await letters("replay", oldest, "--json")

    assert (output.code, json.loads(output.stdout)["outcome"]) == (1, "failed")
    assert len(await ids()) == 3


@pytest.mark.usefixtures("target")
async def test_a_discarded_letter_is_gone() -> None:
    newest, oldest = await ids()

    output = await letters("discard", newest)

    assert (output.code, output.lines) == (0, [f"{newest} was discarded"])
    assert await ids() == [oldest]
    assert (await letters("discard", newest)).code == 1


@pytest.mark.usefixtures("target")
@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("show", "x"), 1, "there is no dead letter 'x'"),
        (("replay", "x"), 1, "there is no dead letter 'x'"),
        (("replay",), 2, "no dead letters selected: give an ID, or --job, --reason, --after or --before"),
        (("list", "--job", "boking"), 2, "there is no job named 'boking', did you mean booking?"),
        (("discard", "x"), 1, "`dead-letters list` lists all dead letters"),
        (("replay", "x", "--job", "booking"), 2, "give either the ID of one dead letter, or options that select"),
        (("replay", "--job", "boking"), 2, "did you mean booking?"),
        (("replay", "--after", "soon"), 2, "--after: expected an instant"),
        (("replay", "--job", "booking", "--per-second", "0"), 2, "--per-second: 0 is not greater than 0"),
    ],
)
async def test_what_cannot_be_is_reported(arguments: tuple[str, ...], code: int, complaint: str) -> None:
    output = await letters(*arguments)

    assert (output.code, output.stdout) == (code, "")
    assert complaint in output.stderr
