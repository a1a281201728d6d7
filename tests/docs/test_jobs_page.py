"""Every example in docs/jobs.md and README.md is a job file that loads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from config.job_files import JobFileReader

ROOT = Path(__file__).resolve().parents[2]


def examples() -> list[tuple[str, str]]:
    found = []
    for page in ("README.md", "docs/jobs.md"):
        for kind, text in re.findall(r"```(yaml|json)\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            found.append((f"example.{kind}", text))
    return found


@pytest.mark.parametrize(("name", "text"), examples())
def test_an_example_of_the_documents_loads(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)

    assert len(JobFileReader(tmp_path).read(tmp_path)) >= 1


def expectation_rows() -> list[str]:
    table = (ROOT / "docs/jobs.md").read_text().split("### Expectations")[1].split("###")[0]
    return [entry for row in table.splitlines() for entry in re.findall(r"`(\{.*?\})`", row.split(" | ")[0])]


@pytest.mark.parametrize("entry", expectation_rows())
def test_an_expectation_of_the_table_loads(entry: str, tmp_path: Path) -> None:
    (tmp_path / "job.yaml").write_text(
        f"jobs:\n  a:\n    check: {{kind: http, url: http://127.0.0.1/}}\n    expect:\n      - {entry}\n"
    )

    (job,) = JobFileReader(tmp_path).read(tmp_path)
    assert len(job.expect) == 1
