"""What is wrong with dependencies between jobs is refused with the file and the line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader

Problems = Callable[..., list[str]]
CHECK = "check: {kind: http, url: 'http://127.0.0.1/'}"


@pytest.fixture
def problems(tmp_path: Path) -> Problems:
    """What is wrong with these files, by name."""

    def found(**files: str) -> list[str]:
        for name, text in files.items():
            (tmp_path / f"{name}.yaml").write_text(dedent(text).replace("CHECK", CHECK))
        try:
            JobFileReader(tmp_path).read(tmp_path)
        except ConfigurationError as error:
            return str(error).splitlines()
        return []

    return found


def test_jobs_may_depend_on_those_of_other_files(problems: Problems) -> None:
    assert problems(a="jobs: {report: {CHECK, depends_on: [database]}}", b="jobs: {database: {CHECK}}") == []


def test_a_name_that_is_no_job_is_reported_at_its_line(problems: Problems) -> None:
    text = """\
    jobs:
      database: {CHECK}
      report:
        CHECK
        depends_on:
          - database
          - job: chache
            condition: finished
      cache: {CHECK}
    """
    assert problems(jobs=text) == [
        "jobs.yaml:7: jobs.report.depends_on[1]: there is no job named 'chache', did you mean cache?"
    ]


def test_a_circle_is_reported_with_the_place_of_each_of_its_jobs(problems: Problems) -> None:
    first = """\
    jobs:
      load: {CHECK, depends_on: [extract]}
      extract:
        CHECK
        depends_on: [publish]
    """
    second = "jobs:\n  publish: {CHECK, depends_on: [load]}\n"

    assert problems(a=first, b=second) == [
        "b.yaml:2: jobs.publish.depends_on[0]: the jobs depend on each other in a cycle: "
        "publish (b.yaml:2) -> load (a.yaml:2) -> extract (a.yaml:3) -> publish; remove one of these entries"
    ]


def test_a_job_that_depends_on_itself(problems: Problems) -> None:
    assert problems(jobs="jobs:\n  load: {CHECK, depends_on: [load]}\n") == [
        "jobs.yaml:2: jobs.load.depends_on[0]: the job depends on itself; remove this entry"
    ]


def test_everything_that_is_wrong_is_reported_at_once(problems: Problems) -> None:
    text = """\
    jobs:
      a: {CHECK, depends_on: [b, nobody]}
      b: {CHECK, depends_on: [a]}
      c: {CHECK, timeout: {run: soon}}
      d: {CHECK, depends_on: [c]}
    """
    assert [line.partition(": ")[0] for line in problems(jobs=text)] == ["jobs.yaml:4", "jobs.yaml:2", "jobs.yaml:3"]


def test_a_job_whose_definition_is_wrong_exists_all_the_same(problems: Problems) -> None:
    text = """\
    - {JobName: Database, Endpoint: 'http://127.0.0.1/', TimeoutSeconds: soon}
    - {name: report, CHECK, depends_on: [Database]}
    """
    (problem,) = problems(jobs=text)

    assert problem.startswith("jobs.yaml:1: ")


def test_nothing_is_reported_of_what_may_stand_in_a_file_that_cannot_be_read(problems: Problems) -> None:
    (problem,) = problems(a="jobs: {report: {CHECK, depends_on: [database]}}", b="jobs: {database: ")

    assert problem.startswith("b.yaml:")


def test_a_long_circle_is_reported_in_part(problems: Problems) -> None:
    jobs = "\n".join(f"  job{number}: {{CHECK, depends_on: [job{(number + 1) % 50}]}}" for number in range(50))

    (problem,) = problems(jobs=f"jobs:\n{jobs}\n")

    assert " -> 30 more -> " in problem
    assert len(problem) < 1000


def test_a_dependency_of_the_defaults_is_reported_at_the_job(problems: Problems) -> None:
    text = """\
    defaults: {depends_on: [database]}
    jobs:
      database: {CHECK, depends_on: []}
      cache: {CHECK}
      report: {CHECK, depends_on: [nobody]}
    """
    assert problems(jobs=text) == ["jobs.yaml:5: jobs.report.depends_on[0]: there is no job named 'nobody'"]
