"""Time of `alerts backtest` over 30 days of 1,000 jobs that run once a minute: 43 million runs.

A SQLite store gets the changes of states of a fleet with some outages a job, the runs around those of the last week
(older ones are deleted by the retention), and the incidents that the rules caused. The backtest with unchanged rules
must find exactly these messages; the same is measured with other rules, and with one about usual response times, which
reads the hours of eight weeks more.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from bench._parts import finish, rss_mib, show
from jobs.alerting.conditions.slower_than_usual import SlowerThanUsualCondition
from jobs.alerting.rule import AlertRule
from jobs.definition import JobDefinition
from jobs.definition.alerting_section import DefinedEntry, define_alerting
from jobs.incidents.engine.facts import IncidentStep
from jobs.incidents.routes import Route
from jobs.runs import Attempt, ErrorClass, Outcome, Phases, Run, Ticket
from jobs.runs.states import StateChange, change_by_run
from scheduler.alerting.replay.replaying import replay
from scheduler.catalog.catalog import CatalogJob, JobSnapshot
from scheduler.features.backtest.service import Backtester, BacktestReport, BacktestRequest
from scheduler.stores.alerting.engine import EngineRows
from scheduler.stores.port import Change, Store, Upsert
from scheduler.stores.repositories import Repositories
from scheduler.stores.runs.codec import encode_finished
from scheduler.stores.runs.keys import HISTORY_TABLE, RunKey, shard_of_job
from scheduler.stores.runs.repository import Runs
from scheduler.stores.runs.rollups.days import encode_hours
from scheduler.stores.runs.rollups.keys import DAY_HOURS_PREFIX, format_day
from scheduler.stores.runs.rollups.tally import Rollup
from scheduler.stores.sqlite.store import open_sqlite

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
BOUND_S = 10.0
RETAINED = 7 * DAY
"""At a run a minute, 10,000 runs of a job are stored."""
MARGIN = 30
"""Runs stored around an outage: more than a backtest reads."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=1000)
    options.add_argument("--days", type=int, default=30)
    options.add_argument(
        "--outages", type=int, default=4, help="of each job, of up to half an hour, most of them short"
    )
    chosen = options.parse_args()
    finish(**asyncio.run(_measure(chosen.jobs, chosen.days, chosen.outages)))


async def _measure(jobs: int, days: int, outages: int) -> dict[str, float]:
    until = datetime.now(UTC).replace(second=0, microsecond=0)
    snapshot = _snapshot(jobs, {"open_after": "3 of 5"})
    with tempfile.TemporaryDirectory() as folder:
        store = await open_sqlite(Path(folder) / "bench.db")
        try:
            stored = await _fill(store, snapshot, until - days * DAY, until, outages)
            backtester = _backtester(store)
            request = BacktestRequest(until - days * DAY, until)
            await _store_incidents(store, backtester, request, snapshot)
            rows = []
            usual = _snapshot(jobs, {"when": SlowerThanUsualCondition(slower_than_usual=0.5)})
            await _fill_hours(store, snapshot, until - (days + HISTORY_DAYS) * DAY, until)
            changed = (("2 in a row", _snapshot(jobs, {"open_after": 2})), ("slower than usual", usual))
            for name, edited in (("unchanged", None), *changed):
                began, cpu = time.perf_counter(), time.process_time()
                report = await backtester.run(request, snapshot, edited)
                rows.append((name, time.perf_counter() - began, time.process_time() - cpu, *_count(report)))
                if edited is None and not report.comparison.is_same:
                    raise SystemExit("the backtest with unchanged rules differs from what was sent")
        finally:
            await store.aclose()
    print(f"{jobs} jobs, {days} days, {jobs * days * 1440:,} runs happened, {stored:,} are in the store")
    show(("rules", "seconds", "CPU seconds", "sent", "would be", "runs read", "estimated"), rows)
    slowest = max(row[1] for row in rows)
    print(f"bound: {BOUND_S:g} s, {'kept' if slowest < BOUND_S else 'EXCEEDED'}; {rss_mib(os.getpid()):.0f} MiB")
    return {"backtest_s": slowest, "messages": float(rows[0][3])}


def _count(report: BacktestReport) -> tuple[int, int, int, int]:
    messages = report.comparison.messages
    was = sum(each.was is not None for each in messages)
    return was, sum(each.would_be is not None for each in messages), report.runs_read, report.runs_estimated


def _snapshot(jobs: int, rule: dict[str, Any]) -> JobSnapshot:
    alerts = (AlertRule.model_validate(rule),)
    entries = []
    for number in range(jobs):
        check = {"kind": "http", "url": f"http://host-{number}.example.com/"}
        fields = {"name": f"job-{number:04d}", "schedule": "every 1m", "check": check, "alerts": alerts}
        entries.append(CatalogJob(JobDefinition.model_validate(fields), "jobs.yaml:1"))
    routes = {"routes": (DefinedEntry("", Route.model_validate({"notify": ["mail"]}), "jobs.yaml:1"),)}
    return JobSnapshot(entries, alerting=define_alerting(routes))


def _backtester(store: Store) -> Backtester:
    stored = Repositories(store)
    return Backtester(Runs(store), stored.changes, stored.incident_log, stored.silences, stored.requested_windows)


async def _fill(store: Store, snapshot: JobSnapshot, since: datetime, until: datetime, outages: int) -> int:
    random, changes, pending, stored = Random(7), Repositories(store).changes, list[Change](), 0
    minutes = int((until - since) / MINUTE)
    for name in snapshot.names():
        begins = sorted(random.sample(range(60, minutes - 120, 120), outages))
        bad = {at + each for at in begins for each in range(min(30, int(random.expovariate(0.2)) + 1))}
        current: StateChange | None = None
        etag = ""
        around = sorted({0} | {at + each for at in bad for each in range(-MARGIN, MARGIN + 1)})
        for minute in around:
            run = _run(random, name, since + minute * MINUTE, minute in bad)
            change = change_by_run(current, run)
            if change is not None:
                current, etag = change, (await changes.write(change, etag)).etag
            if run.due_at >= until - RETAINED:
                key = RunKey.for_ticket(run)
                pending.append(Upsert(HISTORY_TABLE, key.shard, key.run_key, encode_finished(run)))
                stored += 1
        if len(pending) > 1000:
            await store.apply(*pending)
            pending.clear()
    if pending:
        await store.apply(*pending)
    return stored


def _run(random: Random, job: str, due_at: datetime, is_bad: bool) -> Run:
    ticket = Ticket.scheduled(job, due_at, "abcdef123456")
    took = timedelta(milliseconds=random.lognormvariate(4.6, 0.5))
    phases = Phases(None, None, None, None, took / timedelta(milliseconds=1))
    return Run(
        id=ticket.id,
        job=job,
        trigger=ticket.trigger,
        outcome=Outcome.FAILED if is_bad else Outcome.SUCCEEDED,
        due_at=due_at,
        started_at=due_at,
        finished_at=due_at + took,
        attempts=(Attempt(1, due_at, phases, 503 if is_bad else 200),),
        error=ErrorClass.EXPECTATION_FAILED if is_bad else None,
        message="Expected status 200, got 503." if is_bad else "",
    )


HISTORY_DAYS = 40
"""Before the backtest: of the weeks that are compared."""
DAYS_TO_CHOOSE = 200


async def _fill_hours(store: Store, snapshot: JobSnapshot, since: datetime, until: datetime) -> None:
    """Store the response times of each hour. One day in fifty has a slow hour."""
    random, pending = Random(8), list[Change]()
    bodies = [encode_hours(_day(random, number % 50 == 0)) for number in range(DAYS_TO_CHOOSE)]
    for name in snapshot.names():
        day = since
        while day < until - DAY:
            key = f"{DAY_HOURS_PREFIX}{name}~{format_day(day)}"
            pending.append(Upsert(HISTORY_TABLE, shard_of_job(name), key, random.choice(bodies)))
            day += DAY
        if len(pending) > 1000:
            await store.apply(*pending)
            pending.clear()
    await store.apply(*pending)


def _day(random: Random, has_slow_hour: bool) -> dict[str, Any]:
    slow, hours = random.randrange(24) if has_slow_hour else -1, {}
    for hour in range(24):
        rollup = Rollup()
        for _ in range(60):
            rollup.tally.response_time.add(random.lognormvariate(4.6, 0.5) * (4 if hour == slow else 1))
        hours[f"{hour:02}"] = rollup.encode()
    return hours


async def _store_incidents(
    store: Store, backtester: Backtester, request: BacktestRequest, snapshot: JobSnapshot
) -> None:
    """Store the incidents that the rules caused, as the engine would have."""
    prepared = await backtester.prepare(request, snapshot)
    found = replay(prepared.definitions, prepared.given(prepared.definitions)).incidents.values()
    rows, head = EngineRows(store), (await EngineRows(store).read()).head
    for each in found:
        step = IncidentStep(None, each.incident, each.transitions, [], each.decisions)
        expired = () if each.incident.is_open else (each.incident.id,)
        head = await rows.write(head, each.incident.opened_at, [step], expired=expired)


if __name__ == "__main__":
    main()
