"""`infra/pipeline/templates` gives the Azure CLI what it needs, and stops at its first error."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.project import ROOT

SCRIPT = ROOT / "infra" / "pipeline" / "templates"
IMAGE = "contosoregistry.azurecr.io/scheduler@sha256:" + "0" * 64


@pytest.fixture
def az(tmp_path: Path) -> Path:
    """A stand-in that writes down its arguments; it fails if they contain the text of the file `fails`."""
    program = tmp_path / "az"
    program.write_text(
        f'#!/bin/sh\necho "$*" >>{tmp_path}/calls\nfails=$(cat {tmp_path}/fails 2>/dev/null)\n'
        'case "$*" in *"${fails:-nothing fails}"*) exit 1;; esac\n'
    )
    program.chmod(0o755)
    return tmp_path


def run(folder: Path, *arguments: str) -> tuple[int, list[str]]:
    done = subprocess.run(
        [str(SCRIPT), *arguments], env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True
    )
    calls = folder / "calls"
    return done.returncode, calls.read_text().splitlines() if calls.exists() else []


def test_check_compiles_the_template_and_every_file_of_parameters(az: Path) -> None:
    code, calls = run(az, "check")
    assert code == 0
    assert [call.split()[1] for call in calls[:2]] == ["build", "lint"]
    compiled = {call.split()[3].rpartition("/")[2] for call in calls[2:]}
    assert compiled == {path.name for path in (ROOT / "infra" / "bicep" / "parameters").iterdir()}


@pytest.mark.parametrize("step", ["bicep build --file", "lint", "prod.bicepparam"])
def test_check_fails_with_any_of_its_steps(az: Path, step: str) -> None:
    (az / "fails").write_text(step)
    code, calls = run(az, "check")
    assert code != 0
    assert step in calls[-1]


def test_what_if_names_the_group_of_the_environment_and_the_image(az: Path) -> None:
    environment = json.loads((ROOT / "infra" / "environments" / "prod.json").read_text())
    code, (call,) = run(az, "what-if", "prod", IMAGE)
    assert code == 0
    assert f"--subscription {environment['subscription']} --resource-group {environment['resource_group']} " in call
    assert "parameters/prod.bicepparam" in call
    assert call.endswith(f"--parameters image={IMAGE}")


@pytest.mark.parametrize("arguments", [(), ("check", "prod"), ("what-if", "prod"), ("what-if", "../x", IMAGE)])
def test_other_arguments_are_refused(az: Path, arguments: tuple[str, ...]) -> None:
    assert run(az, *arguments) == (2, [])
