"""Every example in docs/jobs.md, docs/alerting.md and README.md is a job file that loads."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from config.job_files.reader import JobFileReader
from jobs.definition import JobDefinition
from jobs.expectations.union import ENTRIES
from jobs.targets import TARGETS_BY_KIND, target_kind

ROOT = Path(__file__).resolve().parents[2]


def examples() -> list[tuple[str, str]]:
    found = []
    for page in ("README.md", "docs/jobs.md", "docs/alerting.md"):
        for kind, text in re.findall(r"```(yaml|json)\n(.*?)```", (ROOT / page).read_text(), re.DOTALL):
            found.append((f"example.{kind}", text))
    return found


@pytest.mark.parametrize(("name", "text"), examples())
def test_an_example_of_the_documents_loads(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)

    assert len(JobFileReader(tmp_path).read(tmp_path)) >= 1


def _loads(check: dict[str, Any], expect: list[Any]) -> bool:
    try:
        JobDefinition.model_validate({"name": "a", "check": check, "expect": expect})
    except ValidationError as error:
        assert not expect or "does not fit a check of kind" in str(error)  # noqa: PT017 - which problem it is, if any
        return False
    return True


def example_checks() -> dict[str, dict[str, Any]]:
    """The first complete check of each kind in the examples; an http:// URL has no certificate."""
    found: dict[str, dict[str, Any]] = {}
    for name, text in examples():
        document = yaml.safe_load(text) if name.endswith("yaml") else None
        jobs = document.get("jobs", ()) if isinstance(document, dict) else ()
        for job in jobs.values() if isinstance(jobs, dict) else jobs:
            check = job.get("check") if isinstance(job, dict) else None
            if isinstance(check, dict) and not str(check.get("url")).startswith("http:") and _loads(check, []):
                found.setdefault(target_kind(check), check)
    return found


CHECKS = example_checks()


def test_every_kind_of_check_has_an_example() -> None:
    assert CHECKS.keys() == TARGETS_BY_KIND.keys()


def test_the_table_of_deadlines_has_every_kind() -> None:
    table = (ROOT / "docs/jobs.md").read_text().split("| `kind` | `attempt` | `run` |")[1].split("\n\n")[0]
    rows = dict(re.findall(r"\| `(\w+)` \| (\w+ \| \w+) \|", table))
    timeouts = {kind: model.TIMEOUTS for kind, model in TARGETS_BY_KIND.items()}
    assert rows == {kind: f"{each.attempt:.0f}s | {each.run:.0f}s" for kind, each in timeouts.items()}


def expectation_rows() -> list[tuple[str, set[str]]]:
    """Each entry of the table, with the kinds of check that it is for."""
    table = (ROOT / "docs/jobs.md").read_text().split("| Entry | Holds when | Kinds |")[1].split("\n\n")[0]
    rows = []
    for row in table.splitlines()[2:]:
        entries, *_, kinds = row.strip("|").split(" | ")
        listed = set(kinds.strip().removeprefix("all but ").split(", "))
        fits = set(CHECKS) - listed if kinds.strip().startswith("all") else listed
        rows += [(entry, fits) for entry in re.findall(r"`(\{.*?\})`", entries)]
    return rows


@pytest.mark.parametrize(("entry", "fits"), expectation_rows())
def test_an_expectation_of_the_table_loads_for_the_kinds_that_it_is_for(entry: str, fits: set[str]) -> None:
    expect = [yaml.safe_load(entry)]
    assert fits == {kind for kind in CHECKS if _loads(CHECKS[kind], expect)}


def test_the_table_lists_every_expectation() -> None:
    assert {next(iter(yaml.safe_load(entry))) for entry, _ in expectation_rows()} == {
        entry.entry_key() for entry in ENTRIES
    }
