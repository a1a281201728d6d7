"""What the entries of the section `alerting` and the alerts of jobs name exists, in job files and in stored jobs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from config.job_files.alerting_checks import MAX_ALERTING_PROBLEMS
from config.job_files.edited import read_unsaved_jobs
from config.stored_jobs import FileJobIndex, LocatedStoredJob, StoredJobDefiner
from tests.config.job_files.test_alerting import CHECK, JOB, make_folder, problems, read

__all__ = ["make_folder"]

CHANNELS = """alerting:
  channels:
    team: {kind: ntfy, topic: team-topic}
    mail: {kind: ntfy, topic: mail-topic, fallback: team}
"""


def job(alerts: str) -> str:
    return f"{JOB}    alerts: {alerts}\n"


WRONG = json.loads((Path(__file__).parents[2] / "data/alerting/unknown_names.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", WRONG, ids=[case["expected"][:70] for case in WRONG])
def test_an_unknown_name_has_its_file_and_line(folder: Path, case: dict[str, Any]) -> None:
    found = problems(folder, *case["files"])
    assert len(found) == 1
    assert found[0].startswith(case["expected"]), found


def test_names_of_all_files_are_known(folder: Path) -> None:
    rules = job("[{notify: team, escalate: [{after: 1h, notify: [mail]}], severity: major}]")
    jobs = read(folder, rules, CHANNELS, "alerting: {severities: {major: {rank: 15}}}")
    assert list(jobs.alerting.channels) == ["team", "mail"]


def test_a_channel_with_a_problem_is_not_unknown_in_addition(folder: Path) -> None:
    broken = "alerting:\n  channels:\n    team: {kind: ntfy, topic: team-topic, x: 1}\n"
    (only,) = problems(folder, broken, job("[{notify: team}]"))
    assert "alerting.channels.team.x" in only


def test_a_part_that_cannot_be_read_can_have_any_name(folder: Path) -> None:
    (only,) = problems(folder, "alerting: {channels: []}", job("[{notify: team}]"))
    assert "alerting.channels: is not a mapping" in only


def test_a_file_that_cannot_be_read_can_have_any_name(folder: Path) -> None:
    (only,) = problems(folder, "alerting: [", job("[{notify: team, severity: x}]\n    alert_parent: b"))
    assert "is not valid YAML" in only


def test_the_problems_of_many_jobs_are_limited(folder: Path) -> None:
    jobs = "".join(f"  job-{number}: {{check: {CHECK}}}\n" for number in range(MAX_ALERTING_PROBLEMS + 5))
    found = problems(folder, f"defaults: {{alerts: [{{notify: team}}]}}\njobs:\n{jobs}")
    assert len(found) == MAX_ALERTING_PROBLEMS + 1
    assert "has more problems" in found[-1]


def define(name: str, **keys: Any) -> LocatedStoredJob:
    check = {"kind": "http", "url": "https://shop.example"}
    defined = StoredJobDefiner(None, {}).define(name, {"check": check, **keys}, version=3)
    assert isinstance(defined, LocatedStoredJob)
    return defined


def rejections(folder: Path, files: Sequence[str], *stored: LocatedStoredJob) -> dict[str, list[str]]:
    index = FileJobIndex(read(folder, *files))
    rejected = index.find_rejected({one.job.name: one for one in stored})
    return {name: [str(problem) for problem in found] for name, found in rejected.items()}


def test_a_stored_job_names_what_the_files_define(folder: Path) -> None:
    files = (CHANNELS + "  groups:\n    g: {jobs: {jobs: a}}\n", JOB)
    alerts = [{"notify": "team", "severity": "down"}]
    stored = (define("s", alerts=alerts, alert_parent=["a", "g", "t"]), define("t"), define("u", alerts=[]))
    assert rejections(folder, files, *stored) == {}


def unknown_names(folder: Path, files: Sequence[str], *stored: LocatedStoredJob) -> dict[str, list[str]]:
    index = FileJobIndex(read(folder, *files))
    found = index.find_unknown_names({one.job.name: one for one in stored}, ())
    return {name: [str(problem) for problem in problems] for name, problems in found.items()}


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"alerts": [{"notify": "teem"}]}, "alerts[0].notify: there is no channel teem, did you mean team?"),
        ({"alerts": [{"severity": "dwon"}]}, "alerts[0].severity: 'dwon' is not allowed, did you mean down?"),
        ({"alert_parent": "b"}, "alert_parent: the parent b is neither a job nor a group"),
    ],
)  # fmt: skip
def test_a_stored_job_whose_alerts_name_something_unknown_is_in_force_with_a_problem(
    folder: Path, keys: dict[str, Any], expected: str
) -> None:
    stored = (define("s", **keys), define("t"))
    assert rejections(folder, (CHANNELS, JOB), *stored) == {}
    found = unknown_names(folder, (CHANNELS, JOB), *stored)
    assert list(found) == ["s"]
    assert found["s"][0].startswith(expected)


def test_a_stored_job_that_is_its_own_parent_is_rejected(folder: Path) -> None:
    files = (CHANNELS + "  groups:\n    g: {jobs: {jobs: s}}\n", JOB)
    found = rejections(folder, files, define("s", alert_parent="g"), define("t"))
    assert list(found) == ["s"]
    assert found["s"][0].startswith("alert_parent: closes a circle of parents, so that no alert would be sent: s -> g")


def test_a_stored_job_cannot_have_the_name_of_a_group(folder: Path) -> None:
    found = rejections(folder, (JOB, "alerting:\n  groups:\n    g: {jobs: {jobs: a}}\n"), define("g"))
    assert found == {"g": ["name: a group of alerts has this name: jobs/b.yaml:3; rename the job"]}


def test_a_stored_job_does_not_close_the_circle_of_a_file(folder: Path) -> None:
    files = (f"{JOB}    alert_parent: g\nalerting: {{groups: {{g: {{jobs: {{jobs: 's*'}}}}}}}}",)
    found = rejections(folder, files, define("s", depends_on=["a"]), define("t"))
    assert list(found) == ["s"]
    assert "closes a circle of parents" in found["s"][0]


def unsaved(folder: Path, text: str) -> list[str]:
    in_force = read(folder, CHANNELS, JOB)
    related = [(job, in_force.origins[job.name]) for job in in_force]
    _, found = read_unsaved_jobs(
        text.encode(),
        is_json=False,
        find_related=lambda jobs: related,
        default_schedule=None,
        alerting_in_force=in_force.alerting,
    )
    return [str(problem) for problem in found]


def test_unsaved_jobs_name_what_the_files_define(folder: Path) -> None:
    alerts = "alerts: [{notify: [team, new]}], alert_parent: a"
    document = (
        f"jobs: {{b: {{check: {CHECK}, {alerts}}}}}\nalerting: {{channels: {{new: {{kind: ntfy, topic: new-topic}}}}}}"
    )
    assert unsaved(folder, document) == []


def test_unsaved_jobs_cannot_name_what_no_file_defines(folder: Path) -> None:
    found = unsaved(folder, f"jobs: {{b: {{check: {CHECK}, alerts: [{{notify: teem}}]}}}}")
    assert found == [
        "body.yaml:1: jobs.b.alerts[0].notify: there is no channel teem, did you mean team? "
        "define it in alerting.channels of a job file, or name another one"
    ]


def test_an_unsaved_severity_fits_those_of_the_files(folder: Path) -> None:
    (only,) = unsaved(folder, "jobs: {}\nalerting: {severities: {x: {rank: 20}}}")
    assert "have the same rank 20" in only


def warnings(folder: Path, *files: str) -> list[str]:
    return [str(warning).removeprefix(f"{folder.name}/") for warning in read(folder, *files).warnings]


def test_what_keeps_messages_from_being_sent_is_a_warning(folder: Path) -> None:
    files = (
        CHANNELS + "    old: {kind: ntfy, topic: old-topic}\n"
        "  routes:\n    - {match: {kinds: tcp}, notify: team}\n    - {match: {severities: down}, notify: mail}\n"
        "  windows:\n    - {name: w, select: {jobs: x}, schedule: '0 0 2 * * *', for: 1h}\n",
        f"{JOB}    alerts: [{{when: degraded}}]\n  b:\n    check: {CHECK}\n",
    )
    hint = "change it, or remove it"
    assert warnings(folder, *files) == [
        "b.yaml:5: jobs.b: 1 enabled job has no alert rule, so that its failures are not reported: b; "
        "add an entry to alerting.rules that selects them, or alerts: [] to a job that needs none",
        "b.yaml:2: jobs.a: 1 rule notifies no channel: a/degraded; "
        "add a route that matches at any time, or notify to the rule",
        f"a.yaml:7: alerting.routes[0]: no message takes this route: it matches no alert; {hint}",
        f"a.yaml:8: alerting.routes[1]: no message takes this route: it matches no alert; {hint}",
        "a.yaml:10: alerting.windows[0].select: selects no job and no group of the files; "
        "change it, or remove the window",
        "a.yaml:5: alerting.channels.old: is used by no rule, route, rota or fallback; use it, or remove it",
    ]


def test_a_project_without_alerting_has_no_warning_about_it(folder: Path) -> None:
    assert warnings(folder, JOB) == []


def test_complete_alerting_has_no_warning(folder: Path) -> None:
    assert warnings(folder, CHANNELS + "  routes:\n    - {notify: mail}\n", job("[{}]")) == []
