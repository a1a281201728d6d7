"""What alert rules cost: CPU of a run with and without them, and the tick of the evaluation with many jobs.

- `cost_share`: 10,000 jobs each 10 s, with a rule each about failed runs, slow responses and silence, against the same
  jobs without rules, in turn. `--jobs`, `--rounds` and `--seconds` make it shorter.
- `silent_tick_ms`: a tick of the evaluation with 10,000 jobs that have a rule `silent`, all of them running. A tick
  comes each second, so a sixtieth of jobs that run each minute has a deadline to check.
- `silent_minute_tick_ms`: the same with a tick each minute, as in the Functions host: all deadlines at once.
- `all_silent_tick_ms`: a tick each second when no job runs any more.
- `storm_pass_ms`: a pass of the engine with 500 firing alerts behind one parent.
- `one_host_pass_ms`, `no_cause_pass_ms`: a pass that groups 500 alerts of 5,000 jobs by what they share: all on one
  host, or each on its own, with an address and an error in common that the other 4,500 jobs refute.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from bench._hosts import embedded
from bench._lateness import Load
from bench._parts import cpu_seconds, finish, get_json, on_core, show, target
from jobs.alerting.alert import Alert, AlertStatus
from jobs.alerting.facts import Sample
from jobs.definition import JobDefinition
from jobs.incidents.engine.passing import run_pass
from jobs.runs import ErrorClass
from scheduler.alerting.causes import find_causes
from scheduler.alerting.evaluation.silent_jobs import SilentJobs
from scheduler.alerting.facts import DefinedFacts
from scheduler.alerting.rule_book import RuleBook
from scheduler.catalog.catalog import CatalogJob, JobSnapshot

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)
_FAILED = Sample(START, "", START, True, error=ErrorClass.CONNECT_TIMEOUT, address="10.0.0.7")
WARM_ROUNDS = 3
"""Of all jobs, before the CPU is measured: the first run of each is judged by the history of before."""
RULES = [
    {"open_after": "3 of 5"},
    {"when": {"response_time_above": "2s", "window": "30m"}},
    {"when": "silent"},
]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=10_000, help="jobs each 10 s")
    options.add_argument("--rounds", type=int, default=3, help="rounds with and without rules, in turn")
    options.add_argument("--seconds", type=int, default=30, help="how long each is measured")
    options.add_argument("--only-ticks", action="store_true", help="do not run the program")
    chosen = options.parse_args()
    figures = _measure_ticks()
    if not chosen.only_ticks:
        figures |= _measure_runs(Load(chosen.jobs, 10, burst=False), chosen.rounds, chosen.seconds)
    finish(**figures)


def _measure_runs(load: Load, rounds: int, seconds: int) -> dict[str, float]:
    pairs = [(_cpu_of_run(load, seconds, []), _cpu_of_run(load, seconds, RULES)) for _ in range(rounds)]
    without, with_rules = (statistics.median(each) * 1e6 for each in zip(*pairs, strict=True))
    share = statistics.median(ours / plain - 1 for plain, ours in pairs)
    rows = [("without rules", without), ("with three rules", with_rules), ("more, %", share * 100)]
    show((f"{load.count} jobs each {load.every} s", "CPU, us a run"), rows)
    return {"run_us_without_rules": without, "run_us_with_rules": with_rules, "cost_share": share}


def _cpu_of_run(load: Load, seconds: int, rules: list[Any]) -> float:
    """CPU seconds a run of the embedded host, everything that it does meanwhile included."""
    with (
        tempfile.TemporaryDirectory() as folder,
        on_core(1),
        target() as url,
        on_core(0),
        embedded(Path(folder), {name: {**job, "alerts": rules} for name, job in load.definitions(url).items()}) as host,
        on_core(1),
    ):
        pid = host.pids["scheduler"]
        time.sleep(max(0.0, (host.ready_at // load.every + WARM_ROUNDS) * load.every - time.time()))
        cpu, before = cpu_seconds(pid), _count_arrivals(url)
        time.sleep(seconds)
        return (cpu_seconds(pid) - cpu) / (_count_arrivals(url) - before)


def _count_arrivals(url: str) -> int:
    return sum(map(len, get_json(f"{url}/arrivals").values()))


def _measure_ticks() -> dict[str, float]:
    jobs = [_job(number) for number in range(10_000)]
    book = RuleBook(JobSnapshot(CatalogJob(job, "bench") for job in jobs))
    figures = {
        "silent_tick_ms": _time_silent_ticks(book, jobs, are_running=True),
        "silent_minute_tick_ms": _time_silent_ticks(book, jobs, are_running=True, seconds=60),
        "all_silent_tick_ms": _time_silent_ticks(book, jobs, are_running=False),
        "storm_pass_ms": _time_storm(),
        "one_host_pass_ms": _time_shared_causes(
            lambda number: "storm.example" if number < 500 else f"{number}.example"
        ),
        "no_cause_pass_ms": _time_shared_causes(lambda number: f"{number}.example"),
    }
    show(("tick", "ms"), list(figures.items()))
    return figures


def _time_silent_ticks(book: RuleBook, jobs: list[JobDefinition], *, are_running: bool, seconds: int = 1) -> float:
    """Return the median of the ticks with the most work: a tenth of those of 20 minutes, after the first two."""
    newest: dict[str, datetime] = {job.name: START for job in jobs}
    silent = SilentJobs(newest.get, START)
    silent.replace_jobs(((job, book.rules_of(job.name)) for job in jobs), START)
    now, took = START, []
    for tick in range(0, 1200, seconds):
        now += timedelta(seconds=seconds)
        for second in range(tick, tick + seconds) if are_running else ():
            for job in jobs[second % 60 :: 60]:
                newest[job.name] = START + timedelta(seconds=second)
        began = time.process_time()
        overdue = silent.pop_overdue(now, 500)
        took.append(time.process_time() - began)
        for name in overdue:
            silent.push(name, now + MINUTE)
    slowest = sorted(took[120 // seconds :])
    return statistics.median(slowest[-max(1, len(slowest) // 10) :]) * 1000


def _time_storm() -> float:
    jobs = [_job(0, name="router"), *(_job(number, alert_parent="router") for number in range(1, 501))]
    book = RuleBook(JobSnapshot(CatalogJob(job, "bench") for job in jobs))
    fired_at = START + MINUTE
    alerts = [
        Alert(job.name, "failed", AlertStatus.FIRING, 1, fired_at, fired_at, START, "the last 3 runs failed")
        for job in jobs
    ]
    took = []
    for _ in range(5):
        now = fired_at + 30 * SECOND
        began = time.process_time()
        facts = DefinedFacts(book, now, alerts=alerts, last_due=lambda job, now=now: now)  # type: ignore[misc]
        result = run_pass([], alerts, facts)
        took.append(time.process_time() - began)
        assert len(result.steps) == 1
        assert len(result.steps[0].incident.members) == 501
    return statistics.median(took) * 1000


class _AllGood:
    """Implements Siblings: each job whose alert does not fire is fine, and all have one address."""

    def __init__(self, jobs: list[JobDefinition]) -> None:
        self._names = tuple(job.name for job in jobs)

    def list_seen(self, cause: str) -> tuple[str, ...]:
        return self._names

    def is_good_since(self, job: str, since: datetime) -> bool:
        return True


def _time_shared_causes(host_of: Callable[[int], str]) -> float:
    """Return the time of the pass that groups 500 alerts of 5,000 jobs by what they share and others refute."""
    jobs = [_job(number, check={"url": f"http://{host_of(number)}/"}) for number in range(5000)]
    book = RuleBook(JobSnapshot(CatalogJob(job, "bench") for job in jobs))
    siblings, fired_at, took = _AllGood(jobs), START + MINUTE, []
    alerts = [
        Alert(job.name, "failed", AlertStatus.FIRING, 1, fired_at, fired_at, START, "failed", find_causes(job, _FAILED))
        for job in jobs[:500]
    ]
    assert book.causes
    for _ in range(5):
        began = time.process_time()
        facts = DefinedFacts(book, fired_at + 30 * SECOND, alerts=alerts, siblings=siblings)
        run_pass([], alerts, facts)
        took.append(time.process_time() - began)
    return statistics.median(took) * 1000


def _job(number: int, name: str = "", **more: Any) -> JobDefinition:
    return JobDefinition.model_validate(
        {
            "name": name or f"job-{number}",
            "schedule": {"every": "60s", "offset": f"{number % 60}s"},
            "check": {"url": f"http://127.0.0.1:9/{number}"},
            "alerts": RULES,
            **more,
        }
    )


if __name__ == "__main__":
    main()
