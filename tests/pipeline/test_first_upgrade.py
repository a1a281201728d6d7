"""The steps of a pipeline against the routing and the keys of function_app, from 0.1.0 upwards, on each platform.

Azure and time are played (tests.pipeline.azure.world). Each request goes to a running server of the version that would
answer it: its routes, its keys and the members of its responses are real.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from delivery.app.api import AppKeys
from delivery.deploy import deploy
from delivery.record import RecordFile
from delivery.rollback import roll_back_to_record
from delivery.verify import verify
from tests.parts.proc import Finished, run
from tests.pipeline.azure.world import NEW, OLD, Behaviour
from tests.pipeline.released import (
    KEY_HEADER,
    ServedVersion,
    ServedWorld,
    open_front,
    plan_step,
    serve_first_release,
    serve_version,
)
from tests.project import ROOT

FIRST, CURRENT = "0.1.0", "current"
KEYS = AppKeys(KEY_HEADER, "key-of-read", "key-of-operate")
VARIABLES = {"DEPLOY_READ_KEY": KEYS.read, "DEPLOY_OPERATE_KEY": KEYS.operate}
OPTIONS = ("--key-variable", "DEPLOY_OPERATE_KEY", "--read-key-variable", "DEPLOY_READ_KEY")
JOB = {"schedule": "every 1h", "check": {"url": "http://127.0.0.1:9/"}}


@pytest.fixture
async def first(tmp_path: Path) -> AsyncIterator[ServedVersion]:
    async with serve_first_release(tmp_path) as served:
        yield served


@pytest.fixture
async def current(tmp_path: Path) -> AsyncIterator[ServedVersion]:
    async with serve_version(tmp_path / "current", ROOT) as served:
        yield served


@pytest.fixture
def working_copy(tmp_path: Path) -> Path:
    """Job files that add a job, and change the alerts of another one, so that a plan sends each of its requests."""
    file = tmp_path / "copy.json"
    canary = {"check": {"url": "http://127.0.0.1:9/"}, "alerts": [{"open_after": 1}]}
    file.write_text(json.dumps({"jobs": {"canary": canary, "new": JOB}}), encoding="utf-8")
    return file


@pytest.mark.parametrize("platform", ["functions", "container-apps", "embedded"])
async def test_a_pipeline_releases_the_current_version_over_the_first_one_and_back(
    platform: str,
    first: ServedVersion,
    current: ServedVersion,
    working_copy: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, key in VARIABLES.items():
        monkeypatch.setenv(name, key)
    images = {OLD: Behaviour(FIRST), NEW: Behaviour(CURRENT)}
    world = ServedWorld(platform, images=images, served={FIRST: first, CURRENT: current})
    record, report, serving = tmp_path / "record.json", tmp_path / "plan.md", [first]

    def steps() -> None:
        with open_front(serving) as url:
            assert (
                plan_step(world.context(KEYS), url, working_copy, report) == "### Plan of the job files: not available"
            )
            deploy(world.context(KEYS), NEW, CURRENT, record)
            assert RecordFile(record).read().previous.version == FIRST
            verify(world.context(KEYS), CURRENT, record)
            assert world.serving_version() == CURRENT
            serving.append(current)
            title = "### Plan of the job files: 1 added, 1 changed, 0 unchanged"
            assert plan_step(world.context(KEYS), url, working_copy, report) == title
            assert "was not replayed" not in report.read_text(encoding="utf-8")
            roll_back_to_record(world.context(KEYS), record)
            assert world.serving_version() == FIRST

    await asyncio.to_thread(steps)
    assert first.used == current.used == {"health", "read", "operate"}


async def test_commands_over_the_api_need_the_keys_of_two_functions(
    current: ServedVersion, working_copy: Path, tmp_path: Path
) -> None:
    drift = await command(current, "drift", str(working_copy), "--json", *OPTIONS)
    gate = await command(current, "gate", "--name", "canary", "--for", "1s", "--marker", "a1b2c3", *OPTIONS)
    assert (drift.code, gate.code) == (3, 0), drift.stderr + gate.stderr
    assert "401" not in gate.stdout + gate.stderr
    assert current.used == {"health", "read", "operate"}

    current.used.clear()
    exported = await command(current, "export-jobs", str(tmp_path / "exported"), "--key-variable", "DEPLOY_READ_KEY")
    assert (exported.code, current.used) == (0, {"read"}), exported.stderr


async def test_a_set_needs_the_key_of_another_function(current: ServedVersion, tmp_path: Path) -> None:
    (tmp_path / "set.json").write_text(json.dumps({"jobs": {"shop-api": JOB}}), encoding="utf-8")
    words = ("apply", str(tmp_path / "set.json"), "--set", "shop", "--yes", "--key-variable")

    refused = await command(current, *words, "DEPLOY_OPERATE_KEY")
    applied = await command(current, *words, "MANAGE_SETS_KEY")

    assert refused.code == 1
    assert "DEPLOY_OPERATE_KEY was refused" in refused.stderr
    assert "function `manage_sets`" in refused.stderr
    assert (applied.code, current.used) == (0, {"manage_sets"}), applied.stderr


async def command(served: ServedVersion, *words: str) -> Finished:
    """Run a command with --url against the host before a version."""
    with open_front([served]) as url:
        return await run(*words, "--url", url, env={**VARIABLES, "MANAGE_SETS_KEY": "key-of-manage_sets"})
