"""A concurrency group without a declaration is private to the file or set that names it."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from config.job_files.reader import JobFileReader
from jobs.definition import JobDefinition
from scheduler.catalog.composition import build_snapshot, find_private_groups
from scheduler.gates.slots import concurrency_slot_group
from tests.scheduler.fakes import START

JOB = "  {name}: {{check: {{kind: http, url: 'http://127.0.0.1/'}}, concurrency_group: {group}}}"


def partitions(folder: Path, **files: str) -> dict[str, str]:
    """Return the partition of each job's slots."""
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text)
    snapshot = build_snapshot(JobFileReader(folder).read(folder), START)
    groups = {entry.job.name: concurrency_slot_group(entry) for entry in snapshot}
    return {name: group.partition for name, group in groups.items() if group is not None}


def jobs(*names: str, group: str = "checkout") -> str:
    return "jobs:\n" + "\n".join(JOB.format(name=name, group=group) for name in names) + "\n"


def test_a_group_that_one_file_names_keeps_the_slots_of_earlier_versions(tmp_path: Path) -> None:
    assert partitions(tmp_path, a=jobs("pay", "refund")) == {"pay": "group~checkout", "refund": "group~checkout"}


def test_files_that_name_the_same_group_do_not_share_its_slots(tmp_path: Path) -> None:
    found = partitions(tmp_path, a=jobs("pay", "refund"), b=jobs("book"))

    assert found["pay"] == found["refund"] != found["book"]


def test_a_declared_group_is_shared(tmp_path: Path) -> None:
    declared = jobs("pay") + "groups:\n  checkout: {jobs: [pay, book]}\n"

    assert set(partitions(tmp_path, a=declared, b=jobs("book")).values()) == {"group~checkout"}


def test_files_can_give_their_private_groups_different_limits(tmp_path: Path) -> None:
    found = partitions(tmp_path, a=jobs("pay"), b=jobs("book", group="{name: checkout, limit: 5}"))

    assert len(set(found.values())) == 2


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from(["x", "y", "z"])), max_size=8))
def test_jobs_share_slots_if_and_only_if_group_and_source_are_the_same(members: list[tuple[str, str]]) -> None:
    check = {"kind": "http", "url": "http://127.0.0.1/"}
    made = [
        (JobDefinition.model_validate({"name": f"j{n}", "check": check, "concurrency_group": group}), source)
        for n, (group, source) in enumerate(members)
    ]

    private = find_private_groups(made, declared={"c"})

    keys = [(group, private.get(job.name, "")) for (job, _), (group, _) in zip(made, members, strict=True)]
    for one, (group, source) in zip(keys, members, strict=True):
        for other, (other_group, other_source) in zip(keys, members, strict=True):
            is_shared = group == other_group and (source == other_source or group == "c")
            assert (one == other) == is_shared
