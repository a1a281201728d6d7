"""Dead letters at a desk: list, look, replay one or many at a pace, discard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import pytest

from tests.parts.command_line import CommandLine
from tests.parts.host import Host, embedded, job
from tests.parts.http_target import HttpTarget


@pytest.fixture
async def target() -> AsyncIterator[HttpTarget]:
    """Refuses payments and bookings until it is told otherwise."""
    async with HttpTarget() as target:
        target.on("/book", 500)
        target.on("/pay", 503)
        yield target


@pytest.fixture
async def host(tmp_path: Path, target: HttpTarget) -> AsyncIterator[Host]:
    jobs = {name: job(f"{target.url}/{name}", dead_letter=True) for name in ("book", "pay")}
    async with embedded(tmp_path, jobs) as host:
        yield host
        await host.stop()


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


async def test_a_letter_is_replayed_once_and_its_run_is_linked_to_the_one_abandoned(
    host: Host, line: CommandLine, target: HttpTarget
) -> None:
    abandoned = await host.run("book")
    (letter,) = await line.rows("dead-letters", "list")
    shown = await line("dead-letters", "show", letter["id"])
    target.on("/book", 200)

    replayed = await line("dead-letters", "replay", letter["id"])
    again = await line("dead-letters", "replay", letter["id"])
    newest, oldest = (await line.json("history", "book"))["runs"]
    (afterwards,) = await line.rows("dead-letters", "list", "--job", "book")

    assert (abandoned["outcome"], letter["job"], letter["state"]) == ("failed", "book", "waiting")
    assert f"run: {abandoned['id']}" in shown.stdout.splitlines()
    assert replayed.code == 0
    assert replayed.stdout.startswith("book succeeded after 1 attempt")
    assert (oldest["id"], newest["trigger"], newest["outcome"]) == (abandoned["id"], "replay", "succeeded")
    assert newest["correlation_id"] == oldest["correlation_id"] == abandoned["id"]
    assert (afterwards["state"], afterwards["replayed_by"]) == ("replayed", newest["id"])
    assert (again.code, again.stdout) == (1, "")
    assert again.stderr == f"dead letter {letter['id']} was already replayed by run {newest['id']}\n"


async def test_those_that_fit_a_filter_are_replayed_at_a_pace_oldest_first(
    host: Host, line: CommandLine, target: HttpTarget
) -> None:
    abandoned = [(await host.run("book"))["id"] for _ in range(3)]
    await host.run("pay")
    target.on("/book", 200)

    nothing = await line("dead-letters", "replay")
    look = await line.rows("dead-letters", "replay", "--reason", "answered 500", "--dry-run")
    requested = len(target.requests)
    done = await line.rows("dead-letters", "replay", "--reason", "answered 500", "--per-second", "4")
    runs = (await line.json("history", "book"))["runs"][:3]
    (left,) = [row for row in await line.rows("dead-letters", "list") if row["state"] == "waiting"]

    assert (nothing.code, nothing.stdout) == (2, "")
    assert "no dead letters selected" in nothing.stderr
    assert ([row["job"] for row in look], requested) == (["book"] * 3, 4)
    assert [row["outcome"] for row in done] == ["succeeded"] * 3
    assert [run["correlation_id"] for run in reversed(runs)] == abandoned
    started = sorted(datetime.fromisoformat(run["started_at"]) for run in runs)
    assert (
        started[-1] - started[0]
    ).total_seconds() > 0.25  # three, a quarter of a second apart; the first may be late
    assert left["job"] == "pay"


async def test_a_replay_that_is_abandoned_again_ends_with_1_and_is_a_letter_of_its_own(
    host: Host, line: CommandLine
) -> None:
    await host.run("pay")

    done = await line("dead-letters", "replay", "--job", "pay")
    letters = await line.rows("dead-letters", "list")

    assert done.code == 1
    assert "Answered 503" in done.stdout
    assert [letter["state"] for letter in letters] == ["waiting", "replayed"]


async def test_a_discarded_letter_is_gone_and_history_retains_its_run(host: Host, line: CommandLine) -> None:
    await host.run("pay")
    (letter,) = await line.rows("dead-letters", "list")

    discarded = await line("dead-letters", "discard", letter["id"])
    replayed = await line("dead-letters", "replay", letter["id"])

    assert (discarded.code, discarded.stdout) == (0, f"{letter['id']} was discarded\n")
    assert await line.rows("dead-letters", "list") == []
    assert (replayed.code, replayed.stdout) == (1, "")
    assert replayed.stderr.startswith(f"there is no dead letter '{letter['id']}'; it may have been discarded")
    assert replayed.stderr.endswith("; `dead-letters list` lists all dead letters\n")
    assert [run["outcome"] for run in await line.rows("history", "pay")] == ["failed"]
