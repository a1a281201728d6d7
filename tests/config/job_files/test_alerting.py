"""The section `alerting` of job files, and alerts of jobs: what is read, and what is wrong with its line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from config.job_files.job_set import JobSet
from config.job_files.reader import JobFileReader
from jobs.alerting.rule import AlertRule
from jobs.definition.job_alerts import members_of, rules_of

CHECK = "{kind: http, url: https://shop.example/health}"


def read(folder: Path, *files: str) -> JobSet:
    for number, text in enumerate(files):
        (folder / f"{'abc'[number]}.yaml").write_text(text, encoding="utf-8")
    return JobFileReader(folder.parent).read(folder)


def problems(folder: Path, *files: str) -> Sequence[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, *files)
    return [str(problem).removeprefix(f"{folder.name}/") for problem in caught.value.problems]


@pytest.fixture(name="folder")
def make_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "jobs"
    folder.mkdir()
    return folder


def rule_names(jobs: JobSet, job: str) -> list[str]:
    return [rule.name for rule in rules_of(jobs.jobs[job], jobs.alerting)]


RULES = """
alerting:
  rules:
    - {select: {tags: {team: payments}}, alerts: [{name: payments, open_after: 2}]}
    - {select: {all: true}, alerts: [{name: usual}]}
"""
JOBS = f"""
jobs:
  own:
    check: {CHECK}
    tags: {{team: payments}}
    alerts: [{{when: degraded, open_after: 3 of 5}}]
  none: {{check: {CHECK}, alerts: []}}
  payments: {{check: {CHECK}, tags: {{team: payments}}}}
  other: {{check: {CHECK}}}
"""


def test_rules_by_selector_apply_to_jobs_without_alerts(folder: Path) -> None:
    jobs = read(folder, RULES, JOBS)
    assert rule_names(jobs, "own") == ["degraded"]
    assert rule_names(jobs, "none") == []
    assert rule_names(jobs, "payments") == ["payments"]
    assert rule_names(jobs, "other") == ["usual"]


def test_jobs_in_the_flat_form_have_rules_by_selector(folder: Path) -> None:
    flat = "jobs: {shop: {Endpoint: https://shop.example, Schedule: '0 * * * * *'}}"
    assert rule_names(read(folder, RULES, flat), "shop") == ["usual"]


def test_without_rules_a_job_has_none(folder: Path) -> None:
    assert rules_of(read(folder, f"jobs: {{a: {{check: {CHECK}}}}}").jobs["a"], read(folder).alerting) == ()


def test_defaults_give_alerts_to_the_jobs_of_a_file(folder: Path) -> None:
    jobs = read(folder, f"defaults: {{alerts: [{{name: usual}}]}}\njobs: {{a: {{check: {CHECK}}}}}")
    assert rule_names(jobs, "a") == ["usual"]


def test_rules_of_several_files_are_in_the_order_of_the_files(folder: Path) -> None:
    first = "alerting: {rules: [{select: {jobs: other}, alerts: [{name: first}]}]}"
    jobs = read(folder, first, RULES, JOBS)
    assert rule_names(jobs, "other") == ["first"]
    assert [entry.origin for entry in jobs.alerting.entries_of("rules")] == [
        "jobs/a.yaml:1",
        "jobs/b.yaml:4",
        "jobs/b.yaml:5",
    ]


def test_a_group_is_a_subject_with_rules_and_members(folder: Path) -> None:
    text = "alerting: {groups: {pay: {jobs: {tags: {team: payments}}, down_when: {at_least: 2}}}}"
    jobs = read(folder, text, JOBS)
    assert jobs.alerting.groups["pay"].alerts == (AlertRule(),)
    assert members_of("pay", tuple(jobs), jobs.alerting) == ("own", "payments")


def test_a_severity_of_one_file_is_known_in_another(folder: Path) -> None:
    jobs = read(
        folder,
        "alerting: {severities: {major: {rank: 15, counts_as_downtime: true}}}",
        f"jobs: {{a: {{check: {CHECK}, alerts: [{{severity: major}}]}}}}",
    )
    assert list(jobs.alerting.severities) == ["info", "degraded", "major", "down", "blind"]


def test_a_parent_is_a_job_or_a_group(folder: Path) -> None:
    jobs = read(
        folder,
        f"""
alerting: {{groups: {{routers: {{jobs: {{jobs: 'router-*'}}}}}}}}
jobs:
  router-1: {{check: {CHECK}}}
  a: {{check: {CHECK}, alert_parent: router-1}}
  b: {{check: {CHECK}, alert_parent: [routers, a]}}
  c: {{check: {CHECK}, depends_on: [a]}}
""",
    )
    assert [jobs.jobs[name].parents for name in "abc"] == [("router-1",), ("routers", "a"), ("a",)]


def test_alerts_do_not_change_the_generation(folder: Path) -> None:
    jobs = read(folder, f"jobs:\n  a: {{check: {CHECK}}}\n  b: {{check: {CHECK}, alerts: [], alert_parent: a}}")
    plain = jobs.jobs["a"].model_copy(update={"name": "b"})
    assert plain.generation() == jobs.jobs["b"].generation()


def test_jobs_share_equal_rules(folder: Path) -> None:
    rules = "alerts: [{open_after: 2}]"
    jobs = read(folder, f"jobs:\n  a: {{check: {CHECK}, {rules}}}\n  b: {{check: {CHECK}, {rules}}}")
    first, second = jobs.jobs["a"].alerts, jobs.jobs["b"].alerts
    assert first
    assert second
    assert first[0] is second[0]


JOB = f"jobs:\n  a:\n    check: {CHECK}\n"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (("alerting: {ruls: []}\njobs: {}",), "a.yaml:1: alerting.ruls: unknown key, did you mean rules?"),
        (("alerting: []\njobs: {}",), "a.yaml:1: alerting: is not a mapping of keys to values"),
        (("alerting:\n  groups: []\n",), "a.yaml:2: alerting.groups: is not a mapping of entries by name"),
        (
            ("alerting:\n  rules:\n    - {select: {tag: {a: b}}, alerts: []}\n",),
            "a.yaml:3: alerting.rules[0].select.tag: unknown key, did you mean tags?",
        ),
        (
            ("alerting:\n  rules:\n    - {select: {kinds: htpp}, alerts: []}\n",),
            "a.yaml:3: alerting.rules[0].select.kinds: 'htpp' is not allowed, did you mean http?",
        ),
        (
            ("alerting:\n  rules:\n    - select: {all: true}\n      alerts:\n        - {when: failde}\n",),
            "a.yaml:5: alerting.rules[0].alerts[0].when: 'failde' is not a condition, did you mean failed?",
        ),
        (
            (JOB + "    alerts:\n      - {}\n      - {name: b, severity: dwon}\n",),
            "a.yaml:6: jobs.a.alerts[1].severity: 'dwon' is not allowed, did you mean down?",
        ),
        (
            (JOB, "alerting:\n  rules:\n    - select: {all: true}\n      alerts: [{severity: major}]\n"),
            "b.yaml:4: alerting.rules[0].alerts[0].severity: 'major' is not allowed",
        ),
        (
            ("alerting: {severities: {x: {rank: 5}}}", "alerting:\n  severities:\n    x: {rank: 7}\n"),
            "b.yaml:3: alerting.severities.x: x is declared twice: first in jobs/a.yaml:1",
        ),
        (
            ("alerting:\n  severities:\n    x: {rank: 20}\n",),
            "a.yaml:3: alerting.severities.x: the severities down and x have the same rank 20",
        ),
        (
            (JOB, "alerting:\n  groups:\n    a: {jobs: {all: true}}\n"),
            "b.yaml:3: alerting.groups.a: a group cannot have the name of a job: a is defined in jobs/a.yaml:2",
        ),
        (
            ("alerting:\n  groups:\n    g: {jobs: {all: true}, alerts: [{when: silent}]}\n",),
            "a.yaml:3: alerting.groups.g: the rule silent has the condition silent, which does not apply to a group",
        ),
        (
            (JOB + "    alert_parent: rooter\n  router:\n    check: " + CHECK,),
            "a.yaml:4: jobs.a.alert_parent: the parent rooter is neither a job nor a group, did you mean router?",
        ),
        ((JOB + "    alert_parent: a\n",), "a.yaml:4: jobs.a.alert_parent: names the job itself"),
        (
            (JOB + "    alert_parent: b\n  b:\n    check: " + CHECK + "\n    alert_parent: a\n",),
            "a.yaml:4: jobs.a.alert_parent: closes a circle of parents, so that no alert would be sent: a -> b -> a",
        ),
        (
            (JOB + "    alert_parent: g\n", "alerting: {groups: {g: {jobs: {all: true}}}}"),
            "a.yaml:4: jobs.a.alert_parent: closes a circle of parents, so that no alert would be sent: a -> g -> a",
        ),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else "",
)
def test_a_problem_has_its_file_and_line(folder: Path, files: tuple[str, ...], expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems(folder, *files)), problems(folder, *files)


def test_a_selector_without_a_job_is_a_warning(folder: Path) -> None:
    jobs = read(
        folder,
        JOB,
        "alerting:\n  rules:\n    - {select: {jobs: b}, alerts: []}\n    - {select: {all: true}, alerts: []}\n"
        "    - {select: {jobs: a}, alerts: []}\n  groups:\n    g: {jobs: {jobs: c}, alerts: []}\n",
    )
    warnings = [f"{warning.line}: {warning.message}" for warning in jobs.warnings]
    assert warnings == [
        "3: selects no job of the files (jobs b), so its rules apply to none",
        "5: applies to no job: earlier entries select its jobs first",
        "7: selects no job of the files (jobs c), so it is never down",
    ]
