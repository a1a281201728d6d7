"""Every example of the pages about alerts is valid in a job file, together with the channels that the page defines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.job_files.reader import JobFileReader
from tests.docs.pages import TEXTS

PAGES = sorted(page for page in TEXTS if re.fullmatch(r"docs/alerting.*\.md", page))
OTHERS = ("mail", "team-teams", "team-slack", "team-chat", "oncall")
"""Channels that examples name and do not define."""


def examples() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"```yaml\n(.*?)```", TEXTS[page], re.DOTALL):
            is_channels = re.match(r"\s+\S+:", block)
            found.append((page, f"alerting:\n  channels:\n{block}" if is_channels else block))
    return found


def test_each_page_has_examples() -> None:
    assert {page for page, _ in examples()} == set(PAGES)


@pytest.mark.parametrize(("page", "text"), examples(), ids=lambda value: value[:40])
def test_an_example_is_a_valid_job_file(page: str, text: str, tmp_path: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(text)
    own = document.get("alerting", {}).get("channels", {})
    others = {name: {"kind": "ntfy", "topic": name} for name in OTHERS if name not in own}
    (tmp_path / "example.yaml").write_text(text, encoding="utf-8")
    (tmp_path / "others.json").write_text(json.dumps({"jobs": {}, "alerting": {"channels": others}}), encoding="utf-8")

    JobFileReader(tmp_path).read(tmp_path)


def test_the_complete_example_has_no_warning(tmp_path: Path) -> None:
    text = TEXTS["docs/alerting.md"].partition("## A complete file")[2]
    (tmp_path / "example.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0], encoding="utf-8")
    jobs = JobFileReader(tmp_path).read(tmp_path)

    assert [str(warning) for warning in jobs.warnings] == []
    assert set(jobs.alerting.parts) == {
        "severities", "rules", "groups", "channels", "routes", "on_call", "windows", "templates"
    }  # fmt: skip
