"""Jobs as a job file: it loads unchanged, and contains what differs from the defaults."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from config.job_files.reader import JobFileReader
from jobs.definition import JobDefinition
from scheduler.catalog.catalog import CatalogJob
from scheduler.features.jobs.definitions import SCHEMA_LINE, JobFileFormat, minimal_definition, write_job_file
from tests.docs.test_jobs_page import ROOT, examples

FORMATS = list(JobFileFormat)


SECTION_FILE = "section.json"


def load(folder: Path, name: str, text: str) -> dict[str, JobDefinition]:
    for file in folder.iterdir():
        if file.name != SECTION_FILE:
            file.unlink()
    (folder / name).write_text(text, encoding="utf-8")
    return dict(JobFileReader(folder, {}).read(folder).jobs)


def written(jobs: Iterable[JobDefinition], format: JobFileFormat) -> str:
    return "".join(write_job_file([CatalogJob(job, "config/jobs/a.yaml:1") for job in jobs], format))


def assert_same(folder: Path, jobs: dict[str, JobDefinition]) -> None:
    for format in FORMATS:
        again = load(folder, f"jobs.{format.value}", written(jobs.values(), format))
        assert {name: job.generation() for name, job in again.items()} == {
            name: job.generation() for name, job in jobs.items()
        }
        assert {name: job.model_dump() for name, job in again.items()} == {
            name: job.model_dump() for name, job in jobs.items()
        }


@pytest.mark.parametrize(("name", "text"), examples())
def test_each_example_of_the_documents_loads_unchanged(name: str, text: str, tmp_path: Path) -> None:
    # The sections around the jobs are not written. The jobs name channels and severities of alerting.
    jobs_alone = re.sub(r"^(groups|alerting):.*\n(  .*\n)*", "", text, flags=re.MULTILINE)
    if name.endswith("yaml") and isinstance(document := yaml.safe_load(text), dict):
        section = {"alerting": document.get("alerting"), "jobs": {}}
        (tmp_path / SECTION_FILE).write_text(json.dumps(section), encoding="utf-8")
    jobs = load(tmp_path, name, jobs_alone)

    assert_same(tmp_path, jobs)


@pytest.mark.parametrize("sample", sorted((ROOT / "config" / "jobs" / "samples").iterdir()), ids=lambda path: path.name)
def test_each_sample_loads_unchanged(sample: Path, tmp_path: Path) -> None:
    jobs = load(tmp_path, sample.name, sample.read_text().replace("${SAMPLE_TARGET}", "http://127.0.0.1:9"))

    assert_same(tmp_path, jobs)


TEXTS = st.text(st.characters(exclude_categories=("C", "Z")) | st.sampled_from(" :#-\"'%"), min_size=1, max_size=20)


@given(
    description=TEXTS
    | st.sampled_from(["yes", "NO", "null", "1e3", "0x1F", "12:30", "~", "a: b", "- a", "1_000", ".inf"]),
    tags=st.dictionaries(st.sampled_from(["team", "on", "1"]), TEXTS, max_size=3),
    every=st.integers(1, 86_400).map(lambda seconds: f"{seconds}s"),
    attempts=st.integers(1, 20),
)
def test_any_text_loads_unchanged(
    description: str, tags: dict[str, str], every: str, attempts: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    try:
        job = JobDefinition.model_validate(
            {
                "name": "a",
                "description": description.strip(),
                "tags": {key: value.strip() for key, value in tags.items()},
                "schedule": {"every": every},
                "check": {"url": "https://checkout.example.com/health"},
                "retry": {"attempts": attempts},
            }
        )
    except ValueError:
        return

    assert_same(tmp_path_factory.mktemp("jobs"), {"a": job})


def test_defaults_are_not_written() -> None:
    job = JobDefinition.model_validate(
        {"name": "a", "schedule": "every 5m", "check": {"url": "https://a.example/"}, "retry": {"attempts": 3}}
    )

    assert minimal_definition(job) == {"schedule": {"every": "5m"}, "check": {"url": "https://a.example/"}}
    assert written([job], JobFileFormat.YAML).splitlines() == [
        SCHEMA_LINE,
        "jobs:",
        "  # config/jobs/a.yaml:1",
        "  a:",
        "    schedule:",
        '      every: "5m"',
        "    check:",
        "      url: https://a.example/",
    ]


def test_a_file_without_jobs_loads(tmp_path: Path) -> None:
    assert [load(tmp_path, f"jobs.{each.value}", written([], each)) for each in FORMATS] == [{}, {}]
