"""What generators know of the jobs."""

from __future__ import annotations

from pathlib import Path

from config.job_files.reader import JobFileReader
from config.settings.model import Settings
from jobs.schedules import parse_schedule
from observability.generation.portfolio import Portfolio, PortfolioObjective, build_portfolio, find_longest_gap

JOBS = """
jobs:
  search: {schedule: every 5m, tags: {team: find, tier: gold}, check: {url: 'http://127.0.0.1:9/'}}
  checkout:
    schedule: every 1m
    description: The way to pay.
    tags: {team: payments, owner: ann}
    circuit: {consecutive_failures: 3}
    telemetry: {metrics: all}
    slo: {target: 99.9, window: month, degraded: bad}
    check: {url: 'http://127.0.0.1:9/'}
  old: {enabled: false, tags: {team: find}, check: {kind: tcp, host: 127.0.0.1, port: 9}}
objectives:
  shopping: {target: 99, window: 7d, select: {tags: {team: payments}}}
alerting:
  groups:
    shop: {jobs: {tags: {team: payments}}, down_when: {share: 50%}}
"""


def portfolio(folder: Path, **settings: str) -> Portfolio:
    (folder / "jobs.yaml").write_text(JOBS)
    return build_portfolio(JobFileReader(folder).read(folder / "jobs.yaml"), Settings(**settings), {})  # type: ignore[arg-type]


def test_jobs_are_sorted_and_have_their_tags_groups_and_owner(tmp_path: Path) -> None:
    found = portfolio(tmp_path)
    assert [job.name for job in found.jobs] == ["checkout", "old", "search"]
    checkout = found.jobs[0]
    assert (checkout.owner, checkout.groups, checkout.interval_s, checkout.kind) == ("ann", ("shop",), 60.0, "http")
    assert (checkout.has_circuit, checkout.reporting.metrics, checkout.description) == (True, "all", "The way to pay.")
    assert (found.jobs[2].owner, found.jobs[2].reporting.metrics) == ("find", "job")


def test_groups_and_values_of_tags(tmp_path: Path) -> None:
    found = portfolio(tmp_path)
    assert {name: [job.name for job in jobs] for name, jobs in found.groups.items()} == {"shop": ["checkout"]}
    assert found.tag_keys == ("owner", "team", "tier")
    assert found.tag_values("team") == ("find", "payments")
    assert [job.name for job in found.active_jobs] == ["checkout", "search"]


def test_it_names_the_environment_and_the_service_of_each_tool(tmp_path: Path) -> None:
    found = portfolio(tmp_path, environment="prod", service_name="shop-checks")
    assert (found.environment, found.service) == ("prod", "shop-checks")
    assert (found.datadog_env, found.datadog_service) == ("prod", "shop-checks")


def test_the_longest_gap_of_office_hours_is_the_weekend() -> None:
    assert find_longest_gap(parse_schedule("0 0 9-16 * * 1-5")) == (24 * 2 + 17) * 3600
    assert find_longest_gap(parse_schedule("every 90s")) == 90


def test_objectives_of_jobs_and_of_selectors(tmp_path: Path) -> None:
    found = portfolio(tmp_path).objectives
    assert [(one.name, one.objective, [job.name for job in one.jobs]) for one in found] == [
        ("checkout", PortfolioObjective(99.9, 30, "runs", True), ["checkout"]),
        ("shopping", PortfolioObjective(99, 7), ["checkout"]),
    ]
