"""What `./dev infra check` gives to ShellCheck: every script of the three services' files."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT
from tools.infra.pipelines import check_pipelines, list_steps


def stand_in(folder: Path, code: int) -> Path:
    """A linter that prints its input and ends with this code."""
    program = folder / f"linter-{code}"
    program.write_text(f"#!/bin/sh\ncat\nexit {code}\n", encoding="utf-8")
    program.chmod(0o755)
    return program


def test_every_step_of_each_service_is_listed() -> None:
    steps = list(list_steps(ROOT))
    for folder in ("Jenkinsfile", "infra/jenkins", ".github/workflows", "infra/azure-pipelines"):
        own = [text for path, _, text in steps if path.startswith(folder)]
        assert any("infra/pipeline/rollback" in text for text in own), folder
    assert {shell for _, shell, _ in steps} == {"sh", "bash"}


def test_every_listed_step_is_sound_shell() -> None:
    for path, shell, text in list_steps(ROOT):
        assert subprocess.run([shell, "-n"], input=text, text=True).returncode == 0, (path, text)


@pytest.mark.parametrize(("code", "result", "word"), [(0, True, "ok"), (1, False, "FAILED")])
def test_a_finding_fails_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], code: int, result: bool, word: str
) -> None:
    assert check_pipelines(ROOT, stand_in(tmp_path, 0), stand_in(tmp_path, code)) is result
    printed = capsys.readouterr().out
    assert f"{'shellcheck':<32}{word}" in printed
    assert ("infra/pipeline/deploy" in printed) is not result


def test_a_missing_tool_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    check_pipelines(ROOT, None, None)
    assert capsys.readouterr().out.count("MISSING on this machine") == 2
