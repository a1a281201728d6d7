"""`dead-letters` by the API, as with the store, and as callers of each role."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.parts.host import job
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.reach.two_ways import two_ways


async def test_dead_letters_are_shown_and_replayed_as_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with HttpTarget() as target:
        target.sequence("/book", 500, 500, 500, 200, 500, 200)
        jobs = {"booking": job(f"{target.url}/book", dead_letter=True), "idle": job("http://127.0.0.1:9/")}
        async with two_ways(tmp_path, monkeypatch, jobs) as ways:
            for _ in range(3):
                await ways.host.run("booking")
            listed = await ways.same("dead-letters", "list")
            newest, middle, oldest = (line.split("\t")[0] for line in listed.lines[1:])
            for words in (
                ("list", "--json"),
                ("list", "--job", "booking", "--limit", "1"),
                ("list", "--job", "idle"),
                ("list", "--job", "bookin"),
                ("show", oldest),
                ("show", oldest, "--json"),
                ("show", "unknown"),
                ("replay", "unknown"),
                ("replay", "--job", "booking", "--dry-run"),
                ("replay", "--reason", "500", "--after", "2020-01-01", "--dry-run", "--json"),
                ("replay", "--job", "bookin"),
                ("replay", "--job", "booking", "--per-second", "0"),
                ("discard", "unknown"),
            ):
                await ways.same("dead-letters", *words, role="admin")
            await ways.same("dead-letters", "list", terminal=True)
            await ways.refused("dead-letters", "replay", oldest, role="viewer", needs="operator")
            await ways.refused("dead-letters", "discard", oldest, role="operator", needs="admin")

            good = await ways.remote("dead-letters", "replay", oldest, role="operator")
            again = await ways.same("dead-letters", "replay", oldest, role="operator")
            bad = await ways.remote("dead-letters", "replay", middle, "--json", role="operator")
            criteria = ("--job", "booking", "--limit", "1")
            every = await ways.remote("dead-letters", "replay", *criteria, role="operator", terminal=True)
            discarded = await ways.remote("dead-letters", "discard", newest)

            assert (good.code, again.code) == (0, 1)
            assert (bad.code, json.loads(bad.stdout)["outcome"]) == (1, "failed")
            assert (every.code, "succeeded" in every.stdout) == (0, True)
            assert discarded.stdout == f"{newest} was discarded\n"
            await ways.same("dead-letters", "list", "--json")
