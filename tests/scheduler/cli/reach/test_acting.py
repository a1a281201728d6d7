"""Commands that change jobs, their runs and their definitions by the API, as with the store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.parts.host import job
from tests.parts.http_target import HttpTarget
from tests.scheduler.cli.commands.test_stored_jobs import API, DAILY, write_set
from tests.scheduler.cli.reach.two_ways import two_ways


async def test_jobs_are_paused_and_resumed_as_with_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs = {
        "checkout": job("http://127.0.0.1:9/", "0 0 3 1 1 *", tags={"team": "payments"}),
        "search": job("http://127.0.0.1:9/"),
    }
    until = ("--until", "2030-01-01", "--reason", "deployment")
    async with two_ways(tmp_path, monkeypatch, jobs) as ways:
        paused = await ways.remote("pause", "checkout", *until, role="operator")
        shown = await ways.remote("pause", "checkout", *until, "--json", role="operator")
        assert paused.stdout == "checkout is paused until 2030-01-01 00:00:00 UTC: deployment\n"
        assert json.loads(shown.stdout)["pause"]["reason"] == "deployment"
        for words in (
            ("pause", "check*", "--dry-run"),
            ("pause", "nothing-*"),
            ("pause", "chekout"),
            ("pause", "checkout", "--until", "2020-01-01"),
            ("jobs",),
            ("resume", "--tag", "team=payments", "--dry-run", "--json"),
        ):
            await ways.same(*words, role="operator")
        unpaused = await ways.remote("resume", "checkout", role="operator")
        again = await ways.same("resume", "checkout", "--json", role="operator")
        every = await ways.remote("resume", "--all", role="operator")

        assert (unpaused.code, unpaused.stdout) == (0, "checkout was resumed\n")
        assert json.loads(again.stdout)["pause"] is None
        assert every.lines[1:] == [f"{name}\tunchanged\tnot_paused\tThe job is not paused." for name in jobs]
        for words in (("pause", "checkout"), ("resume", "--all"), ("run", "--all"), ("backfill", "checkout")):
            more = ("--from", "2026-11-25") if words[0] == "backfill" else ()
            await ways.refused(*words, *more, role="viewer", needs="operator")


async def test_selected_and_missed_runs_are_performed_by_the_scheduler(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    range_ = ("--from", "2026-11-25T01:00:00Z", "--to", "2026-11-25T02:00:00Z", "--before-first-version")
    async with HttpTarget() as target:
        jobs = {"checkout": job(f"{target.url}/a", "0 */30 * * * *"), "refused": job("http://127.0.0.1:9/")}
        async with two_ways(tmp_path, monkeypatch, jobs) as ways:
            dry = await ways.same("backfill", "checkout", *range_, "--dry-run", role="operator")
            done = await ways.remote("backfill", "checkout", *range_, role="operator")
            again = await ways.same("backfill", "checkout", *range_, "--json", role="operator")
            early = await ways.same("backfill", "checkout", *range_[:-1], role="operator")
            both = await ways.remote("run", "checkout", "refused", role="operator")
            listed = await ways.same("history", "checkout")

            assert dry.lines == [f"checkout@20261125T0{at}00.000Z" for at in ("100", "130", "200")]
            assert (done.code, [line.split("\t")[1] for line in done.lines[1:]]) == (0, ["succeeded"] * 3)
            assert json.loads(again.stdout)["already_run"] == 3
            assert early.code == 2
            assert (both.code, sorted(line.split("\t")[1] for line in both.lines[1:])) == (1, ["failed", "succeeded"])
            assert len(listed.lines) == 5


async def test_stored_jobs_are_listed_restored_and_deleted_as_with_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two_ways(tmp_path, monkeypatch, {"checkout": job("http://127.0.0.1:9/")}) as ways:
        first = write_set(tmp_path / "a.json", reports_api=API, reports_daily=DAILY)
        changed = write_set(tmp_path / "b.json", reports_api={**API, "schedule": "every 5m"})
        for file in (first, changed):
            applied = await ways.remote("apply", str(file), "--set", "reports", "--yes")
            assert applied.code == 0, applied.stderr
        for words in (
            ("versions", "reports-api"),
            ("versions", "reports-api", "--json"),
            ("versions", "reports-api", "--diff", "1", "2"),
            ("versions", "reports-api", "--diff", "1", "2", "--json"),
            ("versions", "reports-api", "--diff", "1", "9"),
            ("versions", "report-api"),
            ("delete", "reports-*", "--dry-run"),
            ("delete", "checkout"),
            ("delete", "nothing"),
            ("restore", "reports-api", "9"),
            ("restore", "nothing", "1"),
        ):
            await ways.same(*words, role="admin")
        restored = await ways.remote("restore", "reports-api", "1")
        deleted = await ways.remote("delete", "reports-api")
        back = await ways.remote("restore", "reports-api", "3")
        every = await ways.remote("delete", "reports-api", "checkout", "--json")

        assert restored.stdout == "reports-api has the definition of version 1, as version 3\n"
        assert (deleted.stdout, deleted.stderr) == (
            "reports-api was deleted\n",
            "`restore reports-api 3` restores it\n",
        )
        assert back.stdout == "reports-api has the definition of version 3, as version 5\n"
        assert (every.code, [one["result"] for one in json.loads(every.stdout)["jobs"]]) == (1, ["refused", "done"])
        for words in (("restore", "reports-api", "1"), ("delete", "reports-api"), ("delete", "--all")):
            await ways.refused(*words, role="operator", needs="admin")
