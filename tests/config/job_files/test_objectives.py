"""`slo` of jobs and the section `objectives` of job files: what is read, and what is wrong with its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.job_files.job_set import JobSet
from config.job_files.reader import JobFileReader
from jobs.definition.job_alerts import NamedObjective, list_objectives

CHECK = "{kind: http, url: https://shop.example/health}"


def read(folder: Path, *files: str) -> JobSet:
    for number, text in enumerate(files):
        (folder / f"{'abc'[number]}.yaml").write_text(text, encoding="utf-8")
    return JobFileReader(folder.parent).read(folder)


def objectives(folder: Path, *files: str) -> Sequence[NamedObjective]:
    found = read(folder, *files)
    return list_objectives(found.jobs.values(), found.alerting)


def problems(folder: Path, *files: str) -> Sequence[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, *files)
    return [str(problem).removeprefix(f"{folder.name}/") for problem in caught.value.problems]


@pytest.fixture(name="folder")
def make_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return folder


JOBS = f"""
defaults: {{slo: {{target: 99}}}}
jobs:
  api: {{check: {CHECK}, slo: {{target: 99.9%, window: month, degraded: bad, owner: shop}}, tags: {{app: shop}}}}
  web: {{check: {CHECK}, tags: {{app: shop}}}}
  wiki: {{check: {CHECK}, slo: null}}
"""
SECTION = """
objectives:
  shop: {select: {tags: {app: shop}}, target: 99.5, counts: time}
"""


def test_objectives_are_those_of_jobs_of_defaults_and_of_the_section(folder: Path) -> None:
    found = objectives(folder, JOBS, SECTION)
    assert [(each.name, each.jobs, each.definition.target) for each in found] == [
        ("api", ("api",), 99.9),
        ("shop", ("api", "web"), 99.5),
        ("web", ("web",), 99.0),
    ]
    assert [each.scope for each in found] == ["job api", "2 jobs (tags app: shop)", "job web"]
    assert (found[0].definition.window, found[1].definition.window) == ("month", "30d")


@pytest.mark.parametrize(
    ("slo", "message"),
    [
        ("{}", "target"),
        ("{target: 100}", "100 leaves no error budget: the largest target is 99.999"),
        ("{target: 0.999}", "0.999 percent is too small for a target: write 99.9"),
        ("{target: 20}", "20 percent is too small for a target: the smallest target is 50"),
        ("{target: many}", "'many' is not a percentage: write 99.9 for 99.9%"),
        ("{target: true}", "'True' is not a percentage"),
        ("{target: 99.9999}", "99.9999 is too large: the largest target is 99.999"),
        ("{target: 99, window: 31d}", "window"),
        ("{target: 99, count: time}", "unknown key, did you mean counts?"),
        ("{target: 99, counts: time, degraded: bad}", "degraded: bad applies to counts: runs"),
        ("{target: 99, select: {all: true}}", "unknown key"),
    ],
)
def test_what_is_wrong_with_an_objective_is_named(folder: Path, slo: str, message: str) -> None:
    (found,) = problems(folder, f"jobs:\n  api:\n    check: {CHECK}\n    slo: {slo}\n")
    assert message in found
    assert "a.yaml:" in found


def test_an_entry_of_the_section_needs_a_selector(folder: Path) -> None:
    (found,) = problems(folder, JOBS, "objectives:\n  shop: {target: 99}\n")
    assert found.startswith("b.yaml:2")
    assert "select: is missing" in found


def test_an_objective_and_a_job_with_slo_cannot_have_one_name(folder: Path) -> None:
    (found,) = problems(folder, JOBS, "objectives:\n  web: {target: 99, select: {all: true}}\n")
    assert "the job web (jobs/a.yaml:5) has slo, which is an objective of the same name" in found


def test_an_objective_that_selects_no_job_is_a_warning(folder: Path) -> None:
    found = read(folder, JOBS, "objectives:\n  none: {target: 99, select: {jobs: shop-*}}\n")
    assert [str(each) for each in found.warnings] == [
        "jobs/b.yaml:2: objectives.none.select: selects no job of the files (jobs shop-*), so it measures nothing"
    ]


def test_objectives_by_time_without_a_rule_that_counts_as_downtime_are_warnings(folder: Path) -> None:
    by_time = f"defaults: {{slo: {{target: 99, counts: time}}, check: {CHECK}}}\njobs: {{api: {{}}, web: {{}}}}\n"
    section = SECTION.replace("tags: {app: shop}", "jobs: api")
    reason = (
        "counts time, but no alert rule of its jobs counts as downtime, so it measures nothing; "
        "add a rule to alerts, or count runs"
    )
    assert [str(each) for each in read(folder, by_time, section).warnings] == [
        f"jobs/a.yaml:2: jobs.api.slo: the objective (and that of 1 more) {reason}",
        f"jobs/b.yaml:3: objectives.shop.counts: {reason}",
    ]


def test_an_objective_by_time_with_a_rule_that_counts_as_downtime_is_no_warning(folder: Path) -> None:
    alerts = "alerting: {rules: [{select: {all: true}, alerts: [{open_after: 3}]}]}"
    job = f"jobs: {{api: {{check: {CHECK}, slo: {{target: 99, counts: time}}}}}}\n"
    assert not [each for each in read(folder, job + alerts).warnings if "counts time" in str(each)]


def test_an_objective_changes_neither_the_generation_nor_the_runs(folder: Path) -> None:
    with_slo = read(folder, JOBS).jobs["api"]
    assert with_slo.generation() == with_slo.model_copy(update={"slo": None}).generation()


def test_burn_alerts_name_channels_and_severities_that_exist(folder: Path) -> None:
    ticket = "{escalate: [{after: 1h, notify: x}]}"
    slo = f"{{target: 99.9, alerts: {{page: {{notify: oncal, severity: huge}}, ticket: {ticket}}}}}"
    channels = "alerting:\n  channels:\n    oncall: {kind: ntfy, topic: shop-oncall}\n"
    found = problems(folder, f"jobs:\n  api:\n    check: {CHECK}\n    slo: {slo}\n{channels}")
    assert [each.partition(": ")[2].partition(" define")[0].rstrip(";") for each in found] == [
        "jobs.api.slo.alerts.page.severity: there is no severity huge",
        "jobs.api.slo.alerts.page.notify[0]: there is no channel oncal, did you mean oncall?",
        "jobs.api.slo.alerts.ticket.escalate[0].notify[0]: there is no channel x",
    ]


def test_burn_alerts_of_several_jobs_name_channels_that_exist(folder: Path) -> None:
    alerts = "{page: {notify: nobody}}"
    (found,) = problems(folder, JOBS, f"objectives:\n  shop: {{target: 99, select: {{all: true}}, alerts: {alerts}}}\n")
    assert "objectives.shop.alerts.page.notify[0]: there is no channel nobody" in found


def test_an_objective_with_alerts_cannot_have_the_name_of_a_job(folder: Path) -> None:
    jobs = f"jobs:\n  shop:\n    check: {CHECK}\n"
    section = "objectives:\n  shop: {target: 99, select: {all: true}, alerts: true}\n"
    (found,) = problems(folder, jobs, section)
    assert "an objective with alerts cannot have the name of a job: shop is defined in" in found


def test_an_objective_with_alerts_cannot_have_the_name_of_a_group(folder: Path) -> None:
    section = "objectives:\n  shop: {target: 99, select: {all: true}, alerts: true}\n"
    found = problems(folder, JOBS, f"{section}alerting: {{groups: {{shop: {{jobs: {{all: true}}}}}}}}\n")
    assert any("an objective with alerts cannot have the name of a group: shop" in each for each in found)


def test_burn_alerts_of_several_jobs_without_a_route_are_warned_of(folder: Path) -> None:
    section = "objectives:\n  shop: {target: 99, select: {all: true}, alerts: true}\n"
    warnings = [str(each) for each in read(folder, JOBS, section).warnings]
    assert any("objectives.shop" in each and "shop/slo-burn-1h" in each for each in warnings), warnings
