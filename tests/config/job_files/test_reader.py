"""Folders of job files become a job set, or every problem in them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from config.documents.document import Document, parse_document
from config.errors import ConfigurationError
from config.job_files import reader as job_files
from config.job_files.reader import JobFileReader, JobSet

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    (tmp_path / "jobs").mkdir()

    def one(name: str, text: str) -> Path:
        file = tmp_path / "jobs" / name
        file.write_text(text)
        return file

    return one


@pytest.fixture
def reader(tmp_path: Path) -> JobFileReader:
    return JobFileReader(tmp_path)


def read(reader: JobFileReader, tmp_path: Path) -> JobSet:
    return reader.read(tmp_path / "jobs")


def problems(reader: JobFileReader, tmp_path: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(reader, tmp_path)
    return str(caught.value).splitlines()


FULL = """
jobs:
  checkout:
    schedule: "*/10 * * * * *"
    check: {url: "https://a.example/"}
    retry: {attempts: 2, on: [connection, 503]}
"""
FLAT = {
    name: {
        "JobName": name,
        "Endpoint": "https://a.example/",
        "HttpMethod": "GET",
        "AuthType": "none",
        "TimeoutSeconds": 10,
    }
    for name in ("databaseHealth", "externalApiHealth", "containerAppHealth")
}


def test_a_job_in_the_full_form(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.yaml", FULL)
    jobs = read(reader, tmp_path)
    assert list(jobs.jobs) == ["checkout"]
    assert jobs.jobs["checkout"].retry.on == ("connection", "503")
    assert jobs.origins["checkout"] == "jobs/a.yaml:3"


def test_three_jobs_in_the_flat_form(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("health.json", json.dumps(FLAT, indent=2))
    jobs = read(reader, tmp_path)
    assert list(jobs.jobs) == list(FLAT)
    assert jobs.origins["externalApiHealth"] == "jobs/health.json:9"


@pytest.mark.parametrize(
    "value",
    [
        {"jobs": FLAT},
        {"Jobs": FLAT},
        {"jobs": list(FLAT.values())},
        list(FLAT.values()),
        {"$schema": "x", **FLAT},
    ],
)
def test_flat_jobs_wherever_they_stand(value: Any, write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.json", json.dumps(value))
    assert list(read(reader, tmp_path).jobs) == list(FLAT)


@pytest.mark.parametrize("name", ["body", "query", "url", "check", "timeout", "jobs", "defaults"])
def test_a_job_below_jobs_may_be_named_like_a_key(
    name: str, write: Write, reader: JobFileReader, tmp_path: Path
) -> None:
    jobs = {name: {"check": {"url": "https://a.example/"}}, "other": {"check": {"url": "https://a.example/"}}}
    write("a.json", json.dumps({"jobs": jobs}))
    assert list(read(reader, tmp_path).jobs) == [name, "other"]


@pytest.mark.parametrize("name", ["body", "query", "endpoint", "jobs"])
def test_a_flat_job_may_be_named_like_a_key(name: str, write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.json", json.dumps({name: {"Endpoint": "https://a.example/"}}))
    assert list(read(reader, tmp_path).jobs) == [name]


def test_the_body_of_a_single_flat_job_is_not_counted_as_a_job(
    write: Write, reader: JobFileReader, tmp_path: Path
) -> None:
    write("graph.json", '{"Endpoint": "https://a.example/", "HttpMethod": "POST", "Body": {"query": "{ok}", "url": 1}}')
    assert list(read(reader, tmp_path).jobs) == ["graph"]


def test_jobs_that_an_anchor_brings(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.yaml", 'defaults: {}\njobs: {<<: [&x {a: &a {check: {url: "https://a.example/"}}}], b: *a}\n')
    assert read(reader, tmp_path).origins == {"a": "jobs/a.yaml:2", "b": "jobs/a.yaml:2"}


def test_a_single_flat_job_is_named_by_its_file(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("shop.json", '{"Endpoint": "https://a.example/", "IntervalSeconds": 5}')
    assert list(read(reader, tmp_path).jobs) == ["shop"]


def test_both_forms_in_one_file(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.yaml", FULL + '  flat: {Endpoint: "https://a.example/"}\n')
    assert list(read(reader, tmp_path).jobs) == ["checkout", "flat"]


def test_full_jobs_in_a_list_bring_their_names(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write(
        "a.yaml", 'jobs:\n  - {name: a, check: {url: "https://a.example/"}}\n  - {check: {url: "https://a.example/"}}\n'
    )
    assert problems(reader, tmp_path) == [
        "jobs/a.yaml:3: jobs[1].name: is missing; letters, digits, dot, - and _, at most 100, "
        "the first a letter or a digit"
    ]


def test_full_jobs_at_the_top_of_a_file(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.yaml", 'a: {check: {url: "https://a.example/"}}\n')
    assert list(read(reader, tmp_path).jobs) == ["a"]


def test_the_files_of_a_folder_in_the_order_of_their_names(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    for name in ("b.yml", "a.json", "c.yaml", ".hidden.yaml", "jobs.schema.json", "d.txt"):
        write(name, json.dumps({name[0] + "job": {"Endpoint": "https://a.example/"}}))
    (tmp_path / "jobs" / "inner.yaml").mkdir()
    assert list(read(reader, tmp_path).jobs) == ["ajob", "bjob", "cjob"]


def test_an_empty_folder_holds_no_jobs(reader: JobFileReader, write: Write, tmp_path: Path) -> None:
    assert len(read(reader, tmp_path)) == 0


def test_a_single_file_in_the_folders_place(write: Write, reader: JobFileReader) -> None:
    assert [job.name for job in reader.read(write("a.yaml", FULL))] == ["checkout"]


def test_a_file_of_another_kind_is_refused(write: Write, reader: JobFileReader) -> None:
    with pytest.raises(ConfigurationError, match=r"jobs/a\.txt: is not a job file"):
        reader.read(write("a.txt", FULL))


def test_a_place_that_is_missing_is_reported(reader: JobFileReader, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="none: cannot be read: no such file"):
        reader.read(tmp_path / "none")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_reported(reader: JobFileReader, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0)
    with pytest.raises(ConfigurationError, match="closed: cannot be listed"):
        reader.read(tmp_path / "closed")


def test_defaults_stand_under_every_full_job(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write(
        "a.yaml",
        """
defaults:
  check: {headers: {A: "1", B: "2"}, auth: {kind: bearer, token: {secret: t}}}
  retry: {attempts: 5, initial: 1s}
  expect: [{status: 200}]
jobs:
  a: {check: {url: "https://a.example/", headers: {B: "3"}}, retry: {attempts: 2}}
  b: {check: {url: "https://a.example/", auth: {kind: none}}, expect: []}
  c: {Endpoint: "https://a.example/"}
""",
    )
    jobs = read(reader, tmp_path).jobs
    assert jobs["a"].check.headers == {"A": "1", "B": "3"}
    assert (jobs["a"].retry.attempts, jobs["a"].retry.initial) == (2, 1.0)
    assert len(jobs["a"].expect) == 1
    assert jobs["b"].check.auth.kind == "none"
    assert jobs["b"].expect == ()
    assert jobs["c"].retry.attempts == 3


def test_what_is_wrong_in_defaults_is_reported_once_and_there(
    write: Write, reader: JobFileReader, tmp_path: Path
) -> None:
    write(
        "a.yaml",
        """defaults:
  retry: {attempts: 50}
  tiemout: {}
jobs:
  a: {check: {url: "https://a.example/"}}
  b: {check: {url: "https://a.example/"}}
  c: {check: {url: "https://a.example/"}, retry: {attempts: 1}, expect: [{status: 1000}]}
""",
    )
    assert problems(reader, tmp_path)[:2] == [
        "jobs/a.yaml:2: defaults.retry.attempts: 50 is too large: at most 20",
        "jobs/a.yaml:3: defaults.tiemout: unknown key, did you mean timeout?",
    ]
    assert len(problems(reader, tmp_path)) == 3


def test_defaults_that_are_no_mapping_are_reported(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.yaml", "defaults: [1]\njobs: {}\n")
    assert problems(reader, tmp_path) == ["jobs/a.yaml:1: defaults: is not a mapping of keys to values"]


def test_every_problem_of_every_file_at_once_with_its_line(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.yaml", FULL.replace("retry", "retires") + '  b: {check: {url: "x"}}\n')
    write("b.json", '{"shop": {\n"Endpoint": "https://a.example/",\n"TimeoutSeconds": "ten"}}')
    write("c.yaml", "jobs: [")
    assert problems(reader, tmp_path) == [
        "jobs/a.yaml:6: jobs.checkout.retires: unknown key, did you mean retry?",
        "jobs/a.yaml:7: jobs.b.check.url: 'x' is not an http URL: write it like https://checkout.internal/health",
        "jobs/b.json:3: shop.TimeoutSeconds: 'ten' is not a number",
        "jobs/c.yaml:1: is not valid YAML: while parsing a flow node did not find expected node content",
    ]


@pytest.mark.parametrize("written", ["timeout: {run: 7.5}", "timeout: {run: 7}", "retry: {initial: 0.5}"])
def test_a_number_without_a_unit_is_no_duration(
    write: Write, reader: JobFileReader, tmp_path: Path, written: str
) -> None:
    write("a.yaml", f"jobs: {{shop: {{check: {{url: 'https://a.example/'}}, {written}}}}}\n")
    (reported,) = problems(reader, tmp_path)
    assert "has no unit: write it like 500ms, 10s, 2m or 1h30m" in reported


def test_a_job_that_two_files_define_is_reported_with_both_places(
    write: Write, reader: JobFileReader, tmp_path: Path
) -> None:
    write("a.yaml", FULL)
    write("b.json", '{\n"x": {"JobName": "checkout", "Endpoint": "https://a.example/"}}')
    assert problems(reader, tmp_path) == [
        "jobs/b.json:2: x: the job checkout is defined twice: first in jobs/a.yaml:3; rename one of them"
    ]


def test_a_key_that_stands_twice_is_reported_with_both_lines(
    write: Write, reader: JobFileReader, tmp_path: Path
) -> None:
    write("a.yaml", FULL + FULL.replace("jobs:", ""))
    assert problems(reader, tmp_path) == [
        "jobs/a.yaml:9: jobs.checkout: is a duplicate: first in line 3; keep one of them"
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "jobs/a.yaml:1: is empty; write jobs: with the jobs below it, or remove the file"),
        ("# nothing", "jobs/a.yaml:1: is empty; write jobs: with the jobs below it, or remove the file"),
        ("5", "jobs/a.yaml:1: has a single value instead of jobs; write jobs: with the jobs below it"),
        ("jbos: {a: {check: {}}}", "jobs/a.yaml:1: jbos: unknown key, did you mean jobs?"),
        (
            "schedule: every 5m\ncheck: {url: 'http://a.example'}",
            "jobs/a.yaml:1: is a job without a name; add its name",
        ),
        (
            "jobs: {}\nextra: 1",
            "jobs/a.yaml:2: extra: unknown key; known keys: jobs, defaults, groups, alerting, objectives",
        ),
        ("jobs: 5", "jobs/a.yaml:1: jobs: is neither a mapping of jobs by name nor a list of jobs"),
        ("jobs:\n  a:", "jobs/a.yaml:2: jobs.a: is empty; a job needs at least a check"),
        ("jobs:\n  a: 5", "jobs/a.yaml:2: jobs.a: is not a mapping of keys to values; a job needs at least a check"),
        ("jobs:\n  a: {}", "jobs/a.yaml:2: jobs.a.check: is missing"),
        (
            'jobs:\n  a: {name: b, check: {url: "https://a.example"}}',
            "jobs/a.yaml:2: jobs.a.name: is not a, the name of the job; remove it",
        ),
        (
            'jobs:\n  a b: {check: {url: "https://a.example"}}',
            "jobs/a.yaml:2: jobs.a b: as a name 'a b' has the wrong form; letters, digits, dot, - and _, at most 100, "
            "the first a letter or a digit",
        ),
        (
            'jobs:\n  a: {Endpoint: "https://a.example", JobName: "a b"}',
            "jobs/a.yaml:2: jobs.a.JobName: 'a b' has the wrong form; letters, digits, dot, - and _, at most 100, "
            "the first a letter or a digit",
        ),
    ],
)
def test_what_is_wrong_around_jobs(
    text: str, sentence: str, write: Write, reader: JobFileReader, tmp_path: Path
) -> None:
    write("a.yaml", text)
    assert problems(reader, tmp_path) == [sentence]


@pytest.mark.parametrize("text", ["jobs: {}", "jobs:", "jobs: []"])
def test_a_file_may_report_that_it_holds_no_jobs(
    text: str, write: Write, reader: JobFileReader, tmp_path: Path
) -> None:
    write("a.yaml", text)
    assert len(read(reader, tmp_path)) == 0


def test_a_file_that_has_not_changed_is_not_parsed_again(
    write: Write, reader: JobFileReader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write("a.yaml", FULL)
    write("b.yaml", FULL.replace("checkout", "shop"))
    before = read(reader, tmp_path)
    parsed: list[str] = []

    def parse(content: bytes, shown: str, **_: Any) -> Document:
        parsed.append(shown)
        return parse_document(content, shown)

    monkeypatch.setattr(job_files, "parse_document", parse)
    write("b.yaml", FULL.replace("checkout", "shop2"))
    after = read(reader, tmp_path)
    assert parsed == ["jobs/b.yaml"]
    assert list(after.jobs) == ["checkout", "shop2"]
    assert after.jobs["checkout"] is before.jobs["checkout"]


def test_a_bad_file_stays_bad_when_it_is_read_again(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.yaml", "jobs: [")
    assert problems(reader, tmp_path) == problems(reader, tmp_path)


def test_two_equal_files_are_two_definitions_of_one_job(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write("a.yaml", FULL)
    write("b.yaml", FULL)
    assert "is defined twice" in problems(reader, tmp_path)[0]


def test_a_secret_in_a_file_is_never_repeated(write: Write, reader: JobFileReader, tmp_path: Path) -> None:
    write(
        "a.yaml",
        """jobs:
  a: {check: {url: "https://u:hunter2@a.example/", auth: {kind: bearer, token: hunter2}}}
  b: {Endpoint: "https://a.example/?code=hunter2", AuthType: bearer, Token: hunter2, TokenSecretName: "hunter2!"}
  c: {check: {url: "hunter2://x?code=hunter2", headers: {Authorization: [hunter2]}}}
""",
    )
    reported = problems(reader, tmp_path)
    assert len(reported) == 6
    assert "hunter2" not in "\n".join(reported).replace("hunter2://x", "")


@pytest.mark.parametrize("check", ["{url: 'http://127.0.0.1/'}", "{kind: heartbeat, token: {secret: t}, period: 1h}"])
def test_a_file_may_report_one_deadline_alone(
    check: str, write: Callable[[str, str], Path], reader: JobFileReader, tmp_path: Path
) -> None:
    write("a.yaml", f"jobs: {{a: {{check: {check}, timeout: {{attempt: 300ms}}}}}}")

    timeout = read(reader, tmp_path).jobs["a"].timeout

    assert timeout.attempt == 0.3
    assert timeout.run >= 10
