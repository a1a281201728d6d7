"""Concurrency groups in job files: how they are written, and that all jobs of one have to agree."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from config.errors import ConfigurationError
from config.job_files.reader import JobFileReader
from jobs.policies.groups import ConcurrencyGroup

CHECK = "check: {kind: http, url: 'http://127.0.0.1/'}"


def read(folder: Path, **files: str) -> list[ConcurrencyGroup | None]:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(dedent(text).replace("CHECK", CHECK))
    return [job.concurrency_group for job in JobFileReader(folder).read(folder)]


def problems(folder: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, **files)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("written", "group"),
    [
        ("checkout", ConcurrencyGroup(name="checkout", limit=1, wait=30.0)),
        ("{name: checkout, limit: 3, wait: 2m}", ConcurrencyGroup(name="checkout", limit=3, wait=120.0)),
        ("{name: checkout, wait: 0s}", ConcurrencyGroup(name="checkout", limit=1, wait=0.0)),
        ("null", None),
    ],
)
def test_a_group_is_a_name_or_reports_its_limit_too(
    tmp_path: Path, written: str, group: ConcurrencyGroup | None
) -> None:
    assert read(tmp_path, jobs=f"jobs: {{pay: {{CHECK, concurrency_group: {written}}}}}") == [group]


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ("{limit: 3}", "concurrency_group.name"),
        ("{name: checkout, limit: 0}", "concurrency_group.limit"),
        ("{name: checkout, limit: 1001}", "concurrency_group.limit"),
        ("{name: checkout, wait: soon}", "concurrency_group.wait"),
        ("{name: checkout, most: 3}", "concurrency_group.most"),
        ("check out", "concurrency_group.name"),
        ("''", "concurrency_group.name"),
        ("[a, b]", "concurrency_group"),
    ],
)
def test_what_is_no_group_is_reported_with_its_place(tmp_path: Path, written: str, where: str) -> None:
    text = f"""\
    jobs:
      pay:
        CHECK
        concurrency_group: {written}
    """
    assert [problem.split(": ")[:2] for problem in problems(tmp_path, jobs=text)] == [
        ["jobs.yaml:4", f"jobs.pay.{where}"]
    ]


def test_jobs_of_a_group_may_wait_for_different_times(tmp_path: Path) -> None:
    text = """\
    jobs:
      pay: {CHECK, concurrency_group: {name: checkout, limit: 2, wait: 5s}}
      refund: {CHECK, concurrency_group: {name: checkout, limit: 2, wait: 5m}}
    """
    assert len(read(tmp_path, jobs=text)) == 2


def test_jobs_that_give_a_declared_group_different_limits_are_refused_with_both_names(tmp_path: Path) -> None:
    second = """\
    groups: {checkout: {jobs: [pay, refund]}}
    jobs:
      refund:
        CHECK
        concurrency_group: {name: checkout, limit: 2}
    """
    assert problems(tmp_path, a="jobs: {pay: {CHECK, concurrency_group: checkout}}", b=second) == [
        "b.yaml:5: jobs.refund.concurrency_group: refund lets 2 concurrent runs in the group checkout, "
        "and pay (a.yaml:1) 1; give the group one limit in all of its jobs"
    ]
