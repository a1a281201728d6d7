"""The Azure CLI itself takes every command that the scripts run, and has the arguments of the reference."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.parts import missing
from tests.pipeline.test_az_arguments import DATA, all_commands
from tests.project import ROOT

CLI = ROOT / ".tools" / "azure-cli" / "bin" / "az"


@pytest.fixture(autouse=True)
def _installed() -> None:
    if not CLI.exists():
        missing("azure-cli is not in .tools: ./dev rehearsal installs it")


def test_the_azure_cli_takes_every_command(tmp_path: Path) -> None:
    """It ends with 2 for wrong arguments; with 1 or 3 because it has not signed in, or finds no app."""
    (tmp_path / "empty").mkdir()
    environment = os.environ | {"AZURE_CONFIG_DIR": str(tmp_path / "config"), "AZURE_CORE_COLLECT_TELEMETRY": "0"}
    for command in all_commands(tmp_path):
        if command[0] == "acr":  # it looks the registry up in the network before it signs in
            continue
        done = subprocess.run(
            [CLI, *command], cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode in (1, 3), (shlex.join(command), done.stderr)


def test_the_reference_is_that_of_the_azure_cli(tmp_path: Path) -> None:
    environment = os.environ | {"AZURE_CONFIG_DIR": str(tmp_path / "config"), "AZURE_CORE_COLLECT_TELEMETRY": "0"}
    for words, known in json.loads(DATA.read_text(encoding="utf-8"))["commands"].items():
        printed = subprocess.run(
            [CLI, *words.split(), "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        ).stdout
        lines = re.findall(r"^    (--[a-z][\w-]*(?: -{1,2}[\w-]+)*)", printed, re.MULTILINE)
        found = {name for line in lines for name in line.split() if name.startswith("--")}
        wrapped = {name for name in known["accepted"] for start in found if len(start) >= 8 and name.startswith(start)}
        assert set(known["accepted"]) <= found | wrapped, words  # the help wraps long names
