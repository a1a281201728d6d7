"""What counts as a finding of checkov, the grammar and the compiler."""

from __future__ import annotations

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
        (
            {"summary": {"passed": 2, "parsing_errors": 1}, "results": {"failed_checks": []}},
            ["checkov cannot read 1 of the files"],
        ),
        ({"passed": 0, "failed": 0}, ["checkov has checked nothing"]),
    ],
)
def test_problems(found: dict[str, Any], problems: list[str]) -> None:
    assert list(list_problems(found)) == problems


CLEAN = '{"summary": {"passed": 1, "skipped": 0}, "results": {"failed_checks": [], "parsing_errors": []}}'


def write_program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project with one file of parameters, and without manifests, which kustomize would build."""
    (tmp_path / "infra" / "kubernetes" / "overlays").mkdir(parents=True)
    (tmp_path / "infra" / "bicep" / "parameters").mkdir(parents=True)
    (tmp_path / "infra" / "bicep" / "parameters" / "prod.bicepparam").touch()
    return tmp_path


def a_checkov(folder: Path, answer: str, grammar: int = 0) -> Path:
    write_program(folder / "python", f"echo a place; exit {grammar}")
    return write_program(folder / "checkov", f"echo '{answer}'")


@pytest.mark.parametrize(
    ("answer", "succeeds"),
    [
        (CLEAN, True),
        ('{"summary": {"passed": 1}, "results": {"parsing_errors": ["/modules/a.bicep"]}}', False),
    ],
)
def test_the_stage_fails_with_a_finding(
    answer: str, succeeds: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert check_templates(ROOT, a_checkov(tmp_path, answer)) is succeeds
    printed = capsys.readouterr().out
    assert ("FAILED" in printed) is not succeeds
    assert "checkov bicep modules" in printed


def test_the_stage_fails_with_an_error_of_the_grammar(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not check_templates(root, a_checkov(root, CLEAN, grammar=1))
    assert "grammar of Bicep                FAILED\na place\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("script", "succeeds", "text"),
    [
        (
            "echo a warning >&2",
            True,
            "az bicep build                  ok\na warning\naz bicep lint                   ok\na warning\n"
            "az bicep prod                   ok",
        ),
        ('case "$*" in *lint*) exit 1;; esac', False, "az bicep lint                   FAILED"),
        ('case "$*" in *prod.bicepparam*) exit 1;; esac', False, "az bicep prod                   FAILED"),
        ("exit 1", True, "az bicep build                  MISSING on this machine"),
    ],
    ids=["warning", "finding of the linter", "error", "no compiler"],
)
def test_the_stage_fails_with_an_error_of_the_compiler(
    script: str,
    succeeds: bool,
    text: str,
    root: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_program(root / "az", script)
    monkeypatch.setenv("PATH", f"{root}:/usr/bin:/bin")
    assert check_templates(root, a_checkov(root, CLEAN)) is succeeds
    assert text in capsys.readouterr().out
