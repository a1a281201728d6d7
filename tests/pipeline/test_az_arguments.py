"""Every command of `az` that the scripts run takes the arguments that they give.

tests/data/azure/az_arguments.json lists them as the Azure CLI's own help does. Where the Azure CLI itself is installed
(`./dev rehearsal` does), it parses the commands as well.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from delivery.deploy import deploy
from delivery.rollback import roll_back_to_image, roll_back_to_record
from delivery.status import print_status
from tests.parts import missing
from tests.pipeline.azure.commands import parse
from tests.pipeline.azure.world import NEW, OLD, World
from tests.project import ROOT

DATA = ROOT / "tests" / "data" / "azure" / "az_arguments.json"
CLI = ROOT / ".tools" / "azure-cli" / "bin" / "az"


def all_commands(folder: Path) -> list[list[str]]:
    """Everything that the scripts run, on both platforms."""
    found: dict[str, list[str]] = {}

    def collect(world: World) -> None:
        execute = world.execute

        def noting(command: list[str], timeout: float) -> object:
            found.setdefault(shlex.join(command), list(command))
            return execute(command, timeout)

        world.execute = noting  # type: ignore[method-assign, assignment]

    for kind in ("functions", "container-apps"):
        world = World(kind)
        collect(world)
        record = folder / f"{kind}.json"
        deploy(world.context(), NEW, "2.0", record)
        print_status(world.context(), as_json=True)
        roll_back_to_record(world.context(), record)
        roll_back_to_image(world.context(), NEW, "2.0")
        world.azure.state.get("revisions", {}).pop("contoso-scheduler--first", None)  # the platform removes old ones
        roll_back_to_image(world.context(), OLD, "1.0")
    return [command[1:] for command in found.values()]


def test_the_reference_has_every_argument(tmp_path: Path) -> None:
    reference = json.loads(DATA.read_text(encoding="utf-8"))["commands"]
    commands = [parse(command) for command in all_commands(tmp_path)]
    assert len({command.words for command in commands}) >= 12
    for command in commands:
        known = reference[command.words]
        assert set(command.options) <= set(known["accepted"]), command
        assert set(known["required"]) <= set(command.options), command


def test_the_reference_refuses_what_does_not_exist() -> None:
    reference = json.loads(DATA.read_text(encoding="utf-8"))["commands"]
    assert "--revision-suffix" in reference["containerapp update"]["accepted"]
    assert "--kind" not in reference["containerapp update"]["accepted"]
    assert "functionapp function keys" not in reference


@pytest.mark.slow
def test_the_azure_cli_takes_every_command(tmp_path: Path) -> None:
    """It ends with 2 for wrong arguments, and with 1 because nobody is signed in."""
    if not CLI.exists():
        missing("azure-cli is not in .tools: ./dev rehearsal installs it")
    (tmp_path / "empty").mkdir()
    environment = os.environ | {"AZURE_CONFIG_DIR": str(tmp_path / "config"), "AZURE_CORE_COLLECT_TELEMETRY": "0"}
    for command in all_commands(tmp_path):
        done = subprocess.run(
            [CLI, *command], cwd=tmp_path / "empty", env=environment, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, "az login" in done.stderr) == (1, True), (shlex.join(command), done.stderr)


@pytest.mark.slow
def test_the_reference_is_that_of_the_azure_cli(tmp_path: Path) -> None:
    if not CLI.exists():
        missing("azure-cli is not in .tools: ./dev rehearsal installs it")
    environment = os.environ | {"AZURE_CONFIG_DIR": str(tmp_path / "config"), "AZURE_CORE_COLLECT_TELEMETRY": "0"}
    for words, known in json.loads(DATA.read_text(encoding="utf-8"))["commands"].items():
        printed = subprocess.run(
            [CLI, *words.split(), "--help"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
        ).stdout
        lines = re.findall(r"^    (--[a-z][\w-]*(?: -{1,2}[\w-]+)*)", printed, re.MULTILINE)
        found = {name for line in lines for name in line.split() if name.startswith("--")}
        assert found == set(known["accepted"]), words
