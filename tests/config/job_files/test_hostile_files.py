"""Job files of an attacker: refused or harmless, in bounded time and memory. More: `./dev bench hostile-files`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader
from jobs.problems import MAX_LISTED_PROBLEMS, Problem
from tests.parts.hostile.runner import run_hostile_files

HTTP = {"url": "http://a.test"}
UNKNOWN = {f"k{number}": 0 for number in range(5_000)}


def problems(folder: Path, content: Any, name: str = "jobs.json") -> tuple[Problem, ...]:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text)
    try:
        JobFileReader(folder).read(folder)
    except ConfigurationError as error:
        return error.problems
    return ()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="measures by /proc")
def test_hostile_files_are_refused_or_harmless() -> None:
    """As slow as a busy machine makes it: CPU time is allowed to be three times of what the bench allows."""
    wrong = [
        f"{result.seed} ({result.kind}): {result.problem}"
        for result in run_hostile_files(range(120))
        if result.problem and not 2 < result.cpu_seconds < 6
    ]

    assert not wrong


@pytest.mark.parametrize("number", ["0x" + "f" * 5_000, "0o" + "7" * 9_000, "9" * 5_000, "-" + "9" * 5_000])
@pytest.mark.parametrize(
    "job",
    [
        "a: {check: {url: 'http://a.test'}, retry: {attempts: NUMBER}}",
        "a: {check: {url: 'http://a.test'}, expect: [{status: NUMBER}]}",
        "a: {check: {url: 'http://a.test'}, schedule: NUMBER}",
    ],
)
def test_a_number_of_thousands_of_digits_is_refused_in_every_base(tmp_path: Path, number: str, job: str) -> None:
    (problem,) = problems(tmp_path, f"jobs:\n  {job.replace('NUMBER', number)}", "jobs.yaml")

    assert problem.message == "a number has thousands of digits"
    assert problem.line == 2


@pytest.mark.parametrize(
    "key", ["RetryDelaySeconds", "TimeoutSeconds", "CircuitBreakerTimeoutSeconds", "MaxResponseTimeMs"]
)
@pytest.mark.parametrize("value", [1e308, 10**400, -1e308, "1e308", "nan", "inf"])
def test_a_flat_job_with_a_number_beyond_all_measure_is_refused(tmp_path: Path, key: str, value: object) -> None:
    found = problems(tmp_path, {"JobName": "a", "Endpoint": "http://a.test", "CircuitBreakerThreshold": 3, key: value})

    assert [problem.key.rpartition(".")[2] for problem in found] == [key]


@pytest.mark.parametrize(
    "content",
    [
        UNKNOWN,
        {"jobs": {"a": {"check": HTTP}}, **UNKNOWN},
        {"jobs": {"a": {"check": HTTP, **UNKNOWN}}},
        {"jobs": {"a": {"check": {**HTTP, **UNKNOWN}}}},
        {"jobs": {"a": {"check": HTTP, "expect": [{"status": 200, **UNKNOWN}]}}},
        {"jobs": {"a": {"check": HTTP, "tags": {key: [] for key in UNKNOWN}}}},
        {"jobs": {"a": {"check": HTTP}}, "defaults": UNKNOWN},
        {"JobName": "a", "Endpoint": "http://a.test", **UNKNOWN},
    ],
)
def test_thousands_of_problems_at_one_place_are_counted_after_the_first_hundred(
    tmp_path: Path, content: dict[str, Any]
) -> None:
    found = problems(tmp_path, content)

    assert len(found) == MAX_LISTED_PROBLEMS + 1
    assert any("has 4900 more" in problem.message for problem in found)


def test_a_file_with_thousands_of_broken_jobs_is_checked_up_to_five_hundred_problems(tmp_path: Path) -> None:
    found = problems(tmp_path, {"jobs": {f"j{number}": {"check": {}} for number in range(5_000)}})

    assert len(found) == 501
    assert found[-1].message == "has 4500 more jobs, which are checked once these are fixed"


def test_jobs_that_are_not_checked_are_no_unknown_jobs_to_those_that_depend_on_them(tmp_path: Path) -> None:
    broken = {f"j{number}": {"check": {}} for number in range(600)}
    (tmp_path / "other.json").write_text(json.dumps({"jobs": {"a": {"check": HTTP, "depends_on": ["j599"]}}}))

    assert not [problem for problem in problems(tmp_path, {"jobs": broken}) if "j599" in problem.message]


@pytest.mark.parametrize("key", ["below", "above", "at_least", "at_most"])
@pytest.mark.parametrize("value", [10**400, -(10**400), "0x" + "f" * 300, "1e999"])
def test_a_bound_that_is_no_sensible_number_is_refused(tmp_path: Path, key: str, value: object) -> None:
    (problem,) = problems(tmp_path, {"jobs": {"a": {"check": HTTP, "expect": [{"json": "$.a", key: value}]}}})

    assert problem.key == f"jobs.a.expect[0].{key}"
    assert any(words in problem.message for words in ("not a number", "neither a number", "too large"))


def test_thousands_of_duplicates_are_listed_up_to_a_hundred(tmp_path: Path) -> None:
    jobs = ", ".join(['"a": {"check": {"url": "http://a.test"}}'] * 5_000)

    found = problems(tmp_path, f'{{"jobs": {{{jobs}}}}}')

    assert len(found) == 100
    assert {problem.message for problem in found} == {"is a duplicate: first in line 1"}


def test_an_entry_with_thousands_of_keys_is_compared_with_few(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, {"jobs": {"a": {"check": HTTP, "expect": [UNKNOWN]}}})

    assert problem.message == "has no known key"


@pytest.mark.parametrize("name", ["jobs.json", "jobs.yaml"])
def test_a_pattern_that_would_take_gigabytes_is_refused_with_its_place(tmp_path: Path, name: str) -> None:
    job = {"check": HTTP, "expect": [{"body_matches": "(?:a{3000}){3000}"}]}

    (problem,) = problems(tmp_path, {"jobs": {"bomb": job}}, name)

    assert problem.key == "jobs.bomb.expect[0].body_matches"
    assert problem.message.endswith("or start them at 0, as in a* or a{0,9}, which are not expanded")
