"""Statistics, uptime, exports, objectives and changes by the API, as with the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jobs.runs import Outcome
from scheduler.stores.port import Store
from scheduler.stores.runs.repository import Runs
from tests.observability.runs import run, ticket
from tests.parts.host import job
from tests.scheduler.cli.reach.two_ways import two_ways

NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
LAST_MONTH = f"{NOW.replace(day=1) - timedelta(days=1):%Y-%m}"
JOBS = {
    "checkout": job("http://127.0.0.1:9/", tags={"team": "payments"}, slo={"target": 99.0, "window": "7d"}),
    "search": job("http://127.0.0.1:9/", tags={"team": "web"}),
}


async def put_runs(store: Store) -> None:
    for hours in range(1, 30):
        outcome = Outcome.FAILED if hours % 7 == 0 else Outcome.SUCCEEDED
        message = "\x1b[31m=1+1\x1b[0m" if outcome is Outcome.FAILED else ""
        for name in JOBS:
            at = NOW - timedelta(hours=hours)
            made = run(outcome, job=name, due_at=at, message=message, duration_ms=20.0 + hours / 7)
            await Runs(store).insert_finished(ticket(name, at), made)


async def test_numbers_are_those_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    since = f"{NOW - timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
    within = ("--from", since, "--to", f"{NOW:%Y-%m-%dT%H:%M:%SZ}")
    async with two_ways(tmp_path, monkeypatch, JOBS, put_runs) as ways:
        for words in (
            ("stats",),
            ("stats", "--tag", "team", *within),
            ("stats", "--tag", "team", *within, "--json"),
            ("stats", "checkout", "--window", "7d", "--json"),
            ("stats", "chekout"),
            ("stats", "checkout", "--trend", "--timezone", "Europe/Berlin"),
            ("stats", "--slowest", "job", "--sort", "slower", "--window", "7d", "--json"),
            ("stats", "--tag", "team", "--trend", "--json"),
            ("trend", "checkout", "--json"),
            ("trend", "checkout", "--measure", "success_rate"),
            ("trend", "checkout", "--timezone", "Nowhere"),
            ("stats", "--window", "8d"),
            ("uptime", "checkout"),
            ("uptime", "checkout", "--json"),
            ("uptime", "chekout"),
            ("downtime", "checkout", *within),
            ("downtime", "checkout", *within, "--json"),
            ("export", "runs", *within),
            ("export", "runs", "--format", "csv", "--job", "checkout", "--outcome", "failed"),
            ("export", "stats", *within, "--tag", "team=web", "--format", "csv"),
            ("slo", "list"),
            ("slo", "show", "chekout"),
            ("slo", "statement", "checkout", "--month", LAST_MONTH),
            ("slo", "statement", "checkout", "--month", LAST_MONTH, "--json"),
            ("slo", "statement", "checkout", "--month", LAST_MONTH, "--format", "csv"),
            ("slo", "statement", "checkout", "--month", "2999-01"),
            ("changes",),
            ("changes", "checkout", "--state", "down", "--json"),
            ("changes", "chekout"),
            ("health-entries", "checkout"),
            ("health-entries", "chekout"),
        ):
            await ways.same(*words)
        for words in (("stats", "--tag", "team"), ("uptime", "checkout"), ("slo", "list"), ("changes",)):
            await ways.same(*words, terminal=True)
        unknown = await ways.remote("export", "runs", "--job", "chekout", role="viewer")
        assert (unknown.code, unknown.stdout) == (2, "")
        here, there = await ways.local("slo", "show", "checkout"), await ways.remote("slo", "show", "checkout")
        moving = ("measured: ", "what: ")
        shown = [[line for line in each.lines if not line.startswith(moving)] for each in (here, there)]
        assert shown[0] == shown[1]
        assert "burn rates:" in shown[1]
