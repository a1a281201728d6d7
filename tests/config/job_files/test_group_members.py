"""The section `groups` of job files: who may share a concurrency group or a circuit."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

from config.errors import ConfigurationError
from config.job_files.job_set import JobSet
from config.job_files.reader import JobFileReader

CHECK = "check: {kind: http, url: 'http://127.0.0.1/'}"
OWNER = """\
groups:
  checkout: {jobs: checkout-*}
jobs:
  checkout-pay: {CHECK, concurrency_group: checkout}
"""


def read(folder: Path, **files: str) -> JobSet:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(dedent(text).replace("CHECK", CHECK))
    return JobFileReader(folder).read(folder)


def problems(folder: Path, **files: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        read(folder, **files)
    return str(caught.value).splitlines()


@pytest.mark.parametrize(
    ("members", "job"),
    [
        ("{jobs: search}", "search: {CHECK, concurrency_group: shared}"),
        ("{jobs: [a, sea*]}", "search: {CHECK, concurrency_group: shared}"),
        ("{tags: {team: x}}", "search: {CHECK, concurrency_group: shared, tags: {team: x, tier: '1'}}"),
        ("{files: second.yaml}", "search: {CHECK, concurrency_group: shared}"),
        ("{jobs: s*, files: 'sec*'}", "search: {CHECK, concurrency_group: shared}"),
        ("{jobs: s*}", "search: {CHECK, circuit: {consecutive_failures: 3, group: shared}}"),
    ],
)
def test_a_job_that_the_declaration_admits_joins_the_group(tmp_path: Path, members: str, job: str) -> None:
    found = read(tmp_path, first=f"groups: {{shared: {members}}}\n", second=f"jobs: {{{job}}}\n")
    assert list(found.jobs) == ["search"]
    assert not found.warnings


@pytest.mark.parametrize(
    ("members", "reported"),
    [
        ("{jobs: [sea, arch*, '*x']}", "jobs sea arch* *x"),
        ("{jobs: [a, b, c, d]}", "jobs a b c ..."),
        ("{tags: {team: y}}", "tags team: y"),
        ("{files: first.yaml}", "files first.yaml"),
        ("{jobs: s*, tags: {team: y}}", "jobs s*, tags team: y"),
    ],
)
def test_a_job_that_it_does_not_admit_is_refused_with_the_place_of_the_declaration(
    tmp_path: Path, members: str, reported: str
) -> None:
    stranger = """\
    jobs:
      search:
        CHECK
        tags: {team: x}
        concurrency_group: shared
    """
    assert problems(tmp_path, first=f"jobs: {{}}\ngroups:\n  shared: {members}\n", second=stranger) == [
        "second.yaml:5: jobs.search.concurrency_group: search is not allowed in the group "
        "shared: first.yaml:3 declares it "
        f"for {reported}; name another group, or let its owner add search there"
    ]


def test_a_stranger_in_the_group_of_a_circuit_is_refused_too(tmp_path: Path) -> None:
    stranger = "jobs: {search: {CHECK, circuit: {consecutive_failures: 3, group: checkout}}}"
    (reported,) = problems(tmp_path, a=OWNER, b=stranger)
    assert reported.startswith(
        "b.yaml:1: jobs.search.circuit: search is not allowed in the group checkout: a.yaml:2 declares"
    )


def test_a_refused_job_is_skipped_of_what_can_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        read(tmp_path, a=OWNER, b="jobs: {search: {CHECK, concurrency_group: checkout}}")
    assert caught.value.usable is not None
    assert list(caught.value.usable.jobs) == ["checkout-pay"]


def test_a_group_is_declared_in_one_file_alone(tmp_path: Path) -> None:
    assert problems(tmp_path, a=OWNER, b="groups: {checkout: {jobs: '*'}}") == [
        "b.yaml:1: groups.checkout: the group checkout is declared twice: first in a.yaml:2; "
        "declare it in one file alone"
    ]


def test_a_group_that_no_file_declares_is_private_to_each_file_which_a_warning_reports(tmp_path: Path) -> None:
    job = "jobs: {NAME: {CHECK, concurrency_group: shared}}"
    files = {name: job.replace("NAME", f"job-{name}") for name in "abc"}
    found = read(tmp_path, **files)
    assert len(found) == 3
    assert [str(warning) for warning in found.warnings] == [
        "b.yaml:1: jobs.job-b.concurrency_group: jobs of several files name the group shared (first job-a in "
        "a.yaml:1), and no file declares its members: each file has a separate group; "
        "declare it next to jobs: groups: {shared: {jobs: [job-a, job-b]}}"
    ]


def test_a_group_of_one_file_gets_no_warning(tmp_path: Path) -> None:
    text = "jobs: {a: {CHECK, concurrency_group: shared}, b: {CHECK, concurrency_group: shared}}"
    assert not read(tmp_path, a=text).warnings


@pytest.mark.parametrize(
    ("section", "reported"),
    [
        ("groups: [checkout]", "jobs.yaml:1: groups: is not a mapping of groups by name"),
        ("groups: {check out: {jobs: a}}", "jobs.yaml:1: groups.check out: is not the name of a group"),
        ("groups: {checkout: }", "jobs.yaml:1: groups.checkout: no condition given"),
        ("groups: {checkout: {}}", "jobs.yaml:1: groups.checkout: no condition given"),
        ("groups: {checkout: {job: a}}", "jobs.yaml:1: groups.checkout.job: unknown key, did you mean jobs?"),
        ("groups: {checkout: {jobs: ['a[b]']}}", "jobs.yaml:1: groups.checkout.jobs[0]: "),
        (
            f"groups: {{{', '.join(f'g{n}: {{jobs: a}}' for n in range(1001))}}}",
            "jobs.yaml:1: groups: declares 1001 groups",
        ),
        (f"groups: {{checkout: {{jobs: [{', '.join(['a*'] * 51)}]}}}}", "jobs.yaml:1: groups.checkout.jobs: "),
        ("groups: {checkout: checkout-*}", "jobs.yaml:1: groups.checkout: "),
    ],
)
def test_what_is_wrong_in_the_section_is_reported_with_its_place(tmp_path: Path, section: str, reported: str) -> None:
    found = problems(tmp_path, jobs=f"{section}\njobs: {{a: {{CHECK}}}}\n")
    assert len(found) == 1
    assert found[0].startswith(reported)


@pytest.mark.parametrize("text", ["groups: {CHECK}", "jobs: {groups: {CHECK}}", "a: {CHECK}\ngroups: {CHECK}"])
def test_a_job_may_still_be_named_groups(tmp_path: Path, text: str) -> None:
    assert "groups" in read(tmp_path, jobs=text).jobs


def test_jobs_at_the_top_of_a_file_may_have_the_section_next_to_them(tmp_path: Path) -> None:
    text = "groups: {checkout: {jobs: a}}\na: {CHECK, concurrency_group: checkout}\n"
    assert list(read(tmp_path, jobs=text).jobs) == ["a"]
