"""`silences`, `windows` and `markers` by the API, as with the store, and as callers of each role."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scheduler.stores.port import Store
from tests.parts.host import job
from tests.scheduler.cli.reach.two_ways import two_ways

JOBS = {
    "checkout": job("http://127.0.0.1:9/", tags={"team": "payments"}),
    "search": job("http://127.0.0.1:9/"),
}
LATER = ("--from", "2030-01-01", "--until", "2030-01-02")


async def test_silences_are_made_and_ended_as_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    select = ("--select", "tag=team=payments")
    async with two_ways(tmp_path, monkeypatch, JOBS) as ways:
        await ways.same("silences", "list")
        made = await ways.remote("silences", "create", *select, "--for", "1h30m", "--reason", "repair", role="operator")
        later = await ways.remote("silences", "create", "--select", "job=no", *LATER, "--json", role="operator")
        first, second = made.stdout.split()[1], json.loads(later.stdout)["id"]
        for words in (
            ("list",),
            ("list", "--json"),
            ("create", *select, "--until", "2020-01-01"),
            ("create", *select, "--for", "9000d"),
            ("create", "--select", "severity=", "--for", "1h"),
            ("create", "--select", "job=a", "--select", "all", "--for", "1h"),
            ("end", "unknown"),
            ("end", "a/../b"),
            ("end", second),
            ("delete", first),
        ):
            await ways.same("silences", *words, role="admin")
        past = await ways.remote("silences", "create", *select, "--until", "2020-01-01")
        ended = await ways.remote("silences", "end", first, role="operator")
        deleted = await ways.remote("silences", "delete", second)
        listed = await ways.same("silences", "list", terminal=True)

        assert made.stdout.endswith(", 1 job\n")
        assert "the silence selects no job: check --select" in later.stderr
        assert past.stderr.startswith("--until: 2020-01-01 00:00:00Z is in the past: it is ")
        assert ended.stdout == f"silence {first} has ended\n"
        assert deleted.stdout == f"silence {second} is deleted\n"
        assert "api_key:a-operator" in listed.stdout
        await ways.refused("silences", "end", first, role="viewer", needs="operator")
        await ways.refused("silences", "delete", first, role="operator", needs="admin")


async def test_windows_are_started_and_ended_as_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    select = ("--select", "all")
    weekly = {"name": "patching", "select": {"all": True}, "schedule": "0 2 * * 6", "for": "2h"}

    async def define_window(_: Store) -> None:
        folder = tmp_path / "server" / "jobs"
        folder.mkdir()
        (folder / "alerting.json").write_text(json.dumps({"alerting": {"windows": [weekly]}}))

    async with two_ways(tmp_path, monkeypatch, JOBS, define_window) as ways:
        made = await ways.remote(
            *("windows", "start", *select, "--for", "30m", "--change", "CHG1", "--pause", "--reason", "release"),
            role="operator",
        )
        later = await ways.remote("windows", "start", *select, *LATER, "--name", "later", "--json", role="operator")
        first = made.stdout.split()[1]
        for words in (
            ("list",),
            ("list", "--json"),
            ("list", "--ended"),
            ("start", *select, "--until", "2020-01-01"),
            ("start", *select, "--for", "soon"),
            ("start", *select, "--for", "1h", "--name", "later"),
            ("start", *select, "--for", "1h", "--name", "no name"),
            ("end", "unknown"),
            ("end", "later"),
            ("delete", first),
        ):
            await ways.same("windows", *words, role="admin")
        ended = await ways.remote("windows", "end", first, role="operator")
        deleted = await ways.remote("windows", "delete", "later")
        listed = await ways.same("windows", "list", terminal=True)

        assert "patching" in listed.stdout
        assert made.stdout.endswith(", 2 jobs\n")
        assert json.loads(later.stdout)["state"] == "pending"
        assert ended.stdout == f"window {made.stdout.split()[1]} {made.stdout.split()[2]} has ended\n"
        assert deleted.stdout == "window later is deleted\n"
        await ways.refused("windows", "start", *select, "--for", "1h", role="viewer", needs="operator")
        await ways.refused("windows", "delete", "later", role="operator", needs="admin")


async def test_deployments_are_marked_as_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two_ways(tmp_path, monkeypatch, JOBS) as ways:
        made = await ways.remote("markers", "create", "a\x1bb", "--tag", "team=payments", role="operator")
        named = await ways.remote("markers", "create", "release 42", "--tag", "team=payments", role="operator")
        for words in (
            ("list",),
            ("list", "--json"),
            ("list", "--job", "checkout", "--from", "1h"),
            ("list", "--job", "search", "--limit", "1"),
            ("list", "--job", "chekout"),
            ("list", "--from", "soon"),
            ("create", " "),
            ("create", "old", "--at", "2020-01-01"),
            ("create", "x" * 201),
        ):
            await ways.same("markers", *words, role="operator")

        assert (made.code, named.code) == (2, 0), made.stderr
        assert named.stdout.endswith(", 1 job\n")
        assert "release 42" in (await ways.same("markers", "list", terminal=True)).stdout
        await ways.refused("markers", "create", "x", role="viewer", needs="operator")
