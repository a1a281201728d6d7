"""Generated burn alerts of Prometheus: they fire when ours fire."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from observability.generation.prometheus import BurnObjective, make_burn_group, make_burn_rules
from tests.observability.generation.prometheus.burn_histories import find_firing, make_history, write_promtool_test
from tests.parts.prometheus import promtool

HISTORIES = int(os.environ.get("BURN_HISTORIES", "10"))
"""More than 20 are four times as long, and take some minutes."""
LENGTH = 1.0 if HISTORIES <= 20 else 4.0


def test_promtool_accepts_the_rules_of_every_target(tmp_path: Path) -> None:
    objectives = [BurnObjective(f"slo-{target}", target) for target in (50.0, 90.0, 95.0, 99.9, 99.95, 99.999)]
    path = tmp_path / "rules.yaml"
    path.write_text(json.dumps({"groups": [make_burn_group(objectives)]}), encoding="utf-8")
    checked = promtool("check", "rules", str(path))
    assert (checked.returncode, f"{len(make_burn_rules(objectives))} rules found" in checked.stdout) == (0, True)


def test_pairs_that_can_never_be_exceeded_have_no_rule() -> None:
    windows = [rule["labels"]["long_window"] for rule in make_burn_rules([BurnObjective("shop", 90.0)])]
    assert windows == ["6h", "1d", "3d"]


@pytest.mark.parametrize("seed", range(HISTORIES))
async def test_our_alerts_fire_when_those_of_prometheus_fire(seed: int, tmp_path: Path) -> None:
    history = make_history(seed, LENGTH)
    firing = await find_firing(history)
    tested = promtool("test", "rules", str(write_promtool_test(tmp_path, history, firing)))
    assert tested.returncode == 0, (tested.stdout + tested.stderr)[:3000]


@pytest.mark.parametrize("seed", range(max(HISTORIES // 10, 1)))
async def test_alerts_of_an_objective_over_several_jobs_fire_when_those_of_prometheus_fire(
    seed: int, tmp_path: Path
) -> None:
    history = make_history(seed, LENGTH, jobs=2 + seed % 2)
    firing = await find_firing(history)
    tested = promtool("test", "rules", str(write_promtool_test(tmp_path, history, firing)))
    assert tested.returncode == 0, (tested.stdout + tested.stderr)[:3000]


async def test_a_wrong_interval_is_found(tmp_path: Path) -> None:
    history = make_history(0)
    firing = {rule: [*states[5:], *states[:5]] for rule, states in (await find_firing(history)).items()}
    assert any(True in states for states in firing.values())
    assert promtool("test", "rules", str(write_promtool_test(tmp_path, history, firing))).returncode != 0
