"""Every block of YAML or JSON in the documents that is a job file is valid by its schema and by `validate`."""

from __future__ import annotations

import re
from typing import Any

import pytest

from config.documents.document import parse_document
from tests.docs.pages import ROOT, TEXTS
from tests.docs.test_jobs_page import CHECKS, expectation_rows
from tests.parts.job_file_verdicts import find_contradiction, list_problems, list_schema_errors

_BLOCK = re.compile(r"^ *```(yaml|yml|json)\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
OTHERS = (
    ("docs/azure-checks.md", "# presets/site.yaml"),
    ("docs/azure-checks.md", "identity:"),
    ("docs/backup.md", '{"kind":"scheduler-backup"'),
    ("docs/importing.md", "- targets:"),  # of Prometheus
    ("docs/jobs-as-code.md", "on: {pull_request:"),  # of GitHub
    ("docs/jobs-as-code.md", "schedules:"),  # of Azure Pipelines
    ("docs/kubernetes.md", "components:"),
    ("docs/targets.md", "self_checks:"),
    ("docs/secrets.md", "secrets:"),
    ("docs/telemetry.md", "datadog:"),
    ("docs/telemetry.md", '{"Timestamp"'),
    ("docs/telemetry.md", "scrape_configs:"),  # of Prometheus
)
"""Blocks of other files and of settings: the page, and how they begin."""


def list_blocks() -> list[tuple[str, str, str]]:
    """Return page, kind and text of each block."""
    return [(page, kind, block) for page, text in TEXTS.items() for kind, block in _BLOCK.findall(text)]


def is_other(page: str, block: str) -> bool:
    return any(page == other and block.strip().startswith(begin) for other, begin in OTHERS)


def job_files() -> list[Any]:
    """Return page and value of each job file. An indented mapping is one of channels."""
    found = []
    for page, kind, block in list_blocks():
        if not is_other(page, block):
            is_channels = page.startswith("docs/alerting") and re.match(r" +\S+:", block)
            text = f"alerting:\n  channels:\n{block}" if is_channels else block
            value = parse_document(text.encode(), f"block.{kind}").value
            found.append(pytest.param(value, id=f"{page}: {block.strip()[:30]}"))
    return found


def sample_files() -> list[Any]:
    places = ("config/jobs/samples", "infra/compose/jobs", "infra/kubernetes/base/jobs", "tests/data/old_database")
    paths = [path for place in places for path in sorted((ROOT / place).iterdir()) if path.suffix in (".yaml", ".json")]
    return [pytest.param(parse_document(path.read_bytes(), path.name).value, id=path.name) for path in paths]


def test_each_other_block_is_there() -> None:
    begins = [(page, block.strip()) for page, _, block in list_blocks()]
    for page, begin in OTHERS:
        assert any(page == other and block.startswith(begin) for other, block in begins), (page, begin)


@pytest.mark.parametrize("value", job_files())
def test_a_job_file_of_the_documents_is_valid_by_its_schema_and_by_validate(value: Any) -> None:
    assert list_schema_errors(value) == []
    assert list_problems(value) == ()


@pytest.mark.parametrize("value", sample_files())
def test_a_sample_has_the_same_verdict_by_its_schema_and_by_validate(value: Any) -> None:
    assert list_schema_errors(value) == []
    assert find_contradiction(value, list_problems(value)) == ""


@pytest.mark.parametrize(("entry", "fits"), expectation_rows())
def test_an_expectation_of_the_table_is_valid_by_the_schema(entry: str, fits: set[str]) -> None:
    expectation = parse_document(entry.encode(), "entry.yaml").value
    for kind in fits:
        assert list_schema_errors({"jobs": {"a": {"check": CHECKS[kind], "expect": [expectation]}}}) == []


def short_forms() -> list[Any]:
    """Return each piece of code inside of lines of the pages about jobs that is a mapping, such as `{every: 5m}`."""
    pages = [page for page in TEXTS if re.fullmatch(r"docs/(jobs|alerting.*|objectives)\.md", page)]
    return sorted({piece for page in pages for piece in re.findall(r"`(\{\w+: .*?\})`", TEXTS[page])})


@pytest.mark.parametrize("text", short_forms())
def test_a_short_form_of_the_pages_has_the_same_verdict_at_each_place(text: str) -> None:
    value = parse_document(text.encode(), "form.yaml").value
    places = [
        {"expect": [value]},
        {"schedule": value},
        {"alerts": [value]},
        {"alerts": [{"when": value}]},
        {"slo": value},
    ]
    places += [value, {"circuit": value}, {"retry": value}, {"depends_on": [value]}, {"timeout": value}]
    for place in places:
        document = {"jobs": {"a": {"check": CHECKS["http"], **place}}}
        contradiction = find_contradiction(document, list_problems(document))
        assert "refuses what validate accepts" not in contradiction, place
        assert "unknown key" not in contradiction, place
