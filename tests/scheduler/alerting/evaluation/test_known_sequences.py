"""Sequences of other programs through the evaluator: tests/data/alerting/thresholds.json."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.project import ROOT
from tests.scheduler.alerting.evaluation.evaluator_world import EvaluatorWorld
from tests.scheduler.fakes import entry

KNOWN = json.loads((ROOT / "tests/data/alerting/thresholds.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("case", KNOWN["cases"], ids=lambda case: case["name"])
async def test_it_fires_as_the_sequence_shows(case: dict[str, Any], processes: int) -> None:
    world = EvaluatorWorld(entry("checkout", "every 1m", alerts=[case["rule"]]), processes=processes)
    await world.tick()
    fires = []
    for number, letter in enumerate(case["runs"]):
        await world.run("checkout", letter, number % processes)
        await world.tick(50)
        fires.append(world.alert("checkout").is_firing)
    assert fires == case["fires"]
