"""`slo`: objectives, statements, and their recomputation from an export."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.runs import Outcome, Ticket
from scheduler.stores.runs.repository import Runs
from scheduler.stores.sqlite.store import StoreAccess, open_sqlite
from tests.scheduler.cli.invocation import invoke
from tests.scheduler.cli.job_files import write_jobs
from tests.scheduler.stores.samples import run_of

NOW = datetime.now(UTC).replace(microsecond=0)
NEWEST = NOW - timedelta(minutes=10)
MONTH = f"{NEWEST:%Y-%m}"
CHECK = {"url": "http://127.0.0.1:9/"}
JOBS = {
    "checkout_api": {"schedule": {"every": "1h"}, "check": CHECK, "tags": {"app": "shop"}, "slo": {"target": 99}},
    "web": {"schedule": {"every": "1h"}, "check": CHECK, "tags": {"app": "shop"}},
}
SHOP = {
    "objectives": {"shop": {"select": {"tags": {"app": "shop"}}, "target": 80, "window": "7d", "owner": "shop team"}}
}


async def store_runs(path: Path, outcomes: Sequence[Outcome]) -> None:
    """Store runs of two jobs, each an hour before the next; the last one was due ten minutes ago."""
    store = await open_sqlite(path, StoreAccess.SHARED)
    runs = Runs(store)
    for job in ("checkout-api", "web"):
        for number, outcome in enumerate(reversed(outcomes)):
            ticket = Ticket.scheduled(job, NEWEST - timedelta(hours=number), "abcdef123456")
            await runs.insert_finished(ticket, replace(run_of(ticket, outcome), started_at=ticket.due_at))
    await store.aclose()


@pytest.fixture(name="folder")
def make_folder(job_folder: Path) -> Path:
    write_jobs(job_folder, **JOBS)
    (job_folder / "objectives.json").write_text(json.dumps(SHOP), encoding="utf-8")
    good, bad = Outcome.SUCCEEDED, Outcome.FAILED
    asyncio.run(store_runs(job_folder.parent / "state.db", [*[good] * 8, bad, good, good, bad]))
    return job_folder


def test_it_lists_objectives_and_those_that_need_attention_first(folder: Path) -> None:
    shown = invoke("slo", "list")
    rows = [dict(zip(shown.lines[0].split("\t"), line.split("\t"), strict=True)) for line in shown.lines[1:]]
    assert [(row["objective"], row["status"], row["attained"], row["scope"]) for row in rows] == [
        ("checkout-api", "exhausted", "0.833333", "job checkout-api"),
        ("shop", "burning", "0.833333", "2 jobs (tags app: shop)"),
    ]
    assert "exhausted" in invoke("slo", "list", terminal=True).stdout
    assert len(json.loads(invoke("slo", "list", "--json").stdout)["objectives"]) == 2


def test_it_shows_the_budget_and_the_burn_rates_of_an_objective(folder: Path) -> None:
    shown = invoke("slo", "show", "shop").stdout
    assert "objective: shop (2 jobs (tags app: shop))" in shown
    assert "owner: shop team" in shown
    assert "83.3333% was good, target 80%: 17% of the error budget is left (4 of 4.8 runs are used)" in shown
    assert "above 1 over 3d and 6h: act within days" not in shown
    assert "    1h      5.00  2 of 2 runs" in shown
    answer = json.loads(invoke("slo", "show", "checkout-api", "--json").stdout)
    assert (answer["status"], answer["valid"], answer["bad"], answer["allowed"]) == ("exhausted", 12, 2, 0.12)
    assert [each["window"] for each in answer["burn_rates"]] == ["5m", "30m", "1h", "2h", "6h", "1d", "3d"]


def test_a_statement_is_confirmed_by_the_export_of_its_month(folder: Path, tmp_path: Path) -> None:
    statement, export = tmp_path / "statement.json", tmp_path / "runs.jsonl"
    statement.write_text(invoke("slo", "statement", "shop", "--month", MONTH, "--json").stdout, encoding="utf-8")
    export.write_text(invoke("export", "runs", "--month", MONTH).stdout, encoding="utf-8")
    confirmed = invoke("slo", "recompute", "--statement", str(statement), "--export", str(export))
    assert (confirmed.code, confirmed.stderr.strip()) == (0, "the statement is confirmed: all numbers are equal")

    lines = [line for line in export.read_text(encoding="utf-8").splitlines() if '"failed"' not in line]
    export.write_text("\n".join(lines), encoding="utf-8")
    differing = invoke("slo", "recompute", "--statement", str(statement), "--export", str(export))
    assert differing.code == 1
    assert "web: bad is" in differing.stdout


def test_a_statement_has_a_row_of_each_job_and_the_sum(folder: Path) -> None:
    table = invoke("slo", "statement", "shop", "--month", MONTH, "--format", "csv").lines
    text = invoke("slo", "statement", "shop", "--month", MONTH).stdout
    assert [line.split(",")[4] for line in table[1:-1]] == ["checkout-api", "web", ""]
    assert table[-1] == "# complete,3"
    assert "excluded: nothing" in text
    is_current = f"{datetime.now(UTC):%Y-%m}" == MONTH
    assert ("which has not ended" in text) is is_current


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "shp"), "there is no objective named 'shp', did you mean shop?"),
        (("statement", "shop", "--month", "2199-01"), "the month 2199-01 has not started"),
        (("statement", "shop", "--month", "2026-13"), "--month: '2026-13' is not a month"),
        (("statement", "shop", "--month", MONTH, "--format", "xml"), "--format: expected text, json or csv"),
        (("recompute", "--statement", "none.json", "--export", "none"), "could not read none.json"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, arguments: tuple[str, ...], message: str) -> None:
    found = invoke("slo", *arguments)
    assert found.code == 2
    assert message in found.stderr


def test_without_objectives_it_says_how_to_define_one(job_folder: Path) -> None:
    write_jobs(job_folder, web=JOBS["web"])
    assert "no job has slo" in invoke("slo", "list").stderr
