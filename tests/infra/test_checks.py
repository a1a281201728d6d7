"""What counts as a finding of checkov."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.project import ROOT
from tools.infra.checks import check_templates, list_problems

FINDING = {
    "check_id": "CKV_X_1",
    "check_name": "Ensure something",
    "resource": "a.b",
    "file_path": "/main.bicep",
    "file_line_range": [3, 9],
}


@pytest.mark.parametrize(
    ("found", "problems"),
    [
        ({"summary": {"passed": 2}, "results": {"failed_checks": [], "parsing_errors": []}}, []),
        (
            {"summary": {"passed": 2}, "results": {"failed_checks": [FINDING]}},
            ["/main.bicep:3: CKV_X_1 a.b: Ensure something"],
        ),
        (
            {"summary": {"passed": 2}, "results": {"parsing_errors": ["/x.bicep"]}},
            ["/x.bicep: checkov cannot read it"],
        ),
        ({"passed": 0, "failed": 0}, ["checkov has checked nothing"]),
    ],
)
def test_problems(found: dict[str, Any], problems: list[str]) -> None:
    assert list(list_problems(found)) == problems


def a_checkov(folder: Path, answer: str) -> Path:
    program = folder / "checkov"
    program.write_text(f"#!/bin/sh\necho '{answer}'\n")
    python = folder / "python"
    python.write_text("#!/bin/sh\nexit ${GRAMMAR:-0}\n")
    for each in (program, python):
        each.chmod(each.stat().st_mode | stat.S_IXUSR)
    return program


@pytest.mark.parametrize(
    ("answer", "succeeds"),
    [
        ('{"summary": {"passed": 1, "skipped": 0}, "results": {"failed_checks": [], "parsing_errors": []}}', True),
        ('{"summary": {"passed": 1}, "results": {"parsing_errors": ["/modules/a.bicep"]}}', False),
    ],
)
def test_the_stage_fails_with_a_finding(
    answer: str, succeeds: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_templates(ROOT, Path(sys.executable), a_checkov(tmp_path, answer)) is succeeds
    printed = capsys.readouterr().out
    assert ("FAILED" in printed) is not succeeds
    assert "checkov bicep bicep" in printed


def test_the_stage_fails_with_an_error_of_the_grammar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRAMMAR", "1")
    assert not check_templates(ROOT, Path(sys.executable), a_checkov(tmp_path, '{"summary": {"passed": 1}}'))
    assert "grammar of Bicep                FAILED" in capsys.readouterr().out
