"""Every command of `az` that the scripts run takes the arguments that they give.

tests/data/azure/az_arguments.json lists them as the help of the Azure CLI does. rehearsal/rehearse_commands.py compares
this file with the Azure CLI itself.
"""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from delivery.deploy import deploy
from delivery.rollback import roll_back_to_image, roll_back_to_record
from delivery.status import print_status
from tests.pipeline.azure.commands import parse
from tests.pipeline.azure.world import NEW, OLD, World
from tests.project import ROOT

DATA = ROOT / "tests" / "data" / "azure" / "az_arguments.json"


def all_commands(folder: Path) -> list[list[str]]:
    """Everything that the scripts run, on each platform."""
    found: dict[str, list[str]] = {}

    def collect(world: World) -> None:
        execute = world.execute

        def noting(command: list[str], timeout: float) -> object:
            found.setdefault(shlex.join(command), list(command))
            return execute(command, timeout)

        world.execute = noting  # type: ignore[method-assign, assignment]

    for kind in ("functions", "container-apps", "embedded"):
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
    assert len({command.words for command in commands}) >= 14
    for command in commands:
        known = reference[command.words]
        assert set(command.options) <= set(known["accepted"]), command
        assert set(known["required"]) <= set(command.options), command


def test_the_reference_refuses_what_does_not_exist() -> None:
    reference = json.loads(DATA.read_text(encoding="utf-8"))["commands"]
    assert "--revision-suffix" in reference["containerapp update"]["accepted"]
    assert "--kind" not in reference["containerapp update"]["accepted"]
    assert "functionapp function keys" not in reference
