"""Bad releases with real processes, one after the other on one app: each is found, and leaves the old version serving.

On Functions all schedulers in service share one SQLite file, so that every due instant of all releases can be accounted
for. `./dev rehearsal` runs this; see docs/releasing.md.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.pipeline.rehearsal.stage import NEW, OLD, Stage

MAX_ROLLBACK = 120.0
"""Seconds from the finding until the old version serves."""
PLATFORMS = ("functions", "container-apps")


@pytest.fixture(scope="module", params=PLATFORMS)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Stage(tmp_path_factory.mktemp(request.param), request.param) as stage:
        yield stage


@pytest.fixture(autouse=True)
def _baseline(stage: Stage) -> None:
    """The old version serves, and has run long enough for a comparison."""
    assert stage.version() == "1.0"
    time.sleep(13)


def roll_back_and_account(stage: Stage, *, has_crashed: bool = False) -> None:
    """Roll back within the limit; the old version serves, and no due instant is missing or doubled."""
    started = time.monotonic()
    code, printed = stage.rollback()
    assert code == 0, printed
    assert time.monotonic() - started < MAX_ROLLBACK
    assert stage.version() == "1.0"
    assert json.loads(stage.record.read_text())["state"] == "rolled_back"
    if stage.kind == "functions":
        until = datetime.now(UTC).replace(microsecond=0)
        time.sleep(5)  # for what is in-flight
        assert stage.problems(until - timedelta(seconds=1)) == []
        doubled = stage.runs_executed_twice()
        assert has_crashed or doubled == []  # a run that a crash interrupts is executed again


CHANGES = {
    "functions": {"first": 1, "middle": 2, "last": 2},
    "container-apps": {"first": 2, "middle": 3, "last": 5},
}
"""Numbers of the changes of a deployment: the image of the slot and the swap; of five, both updates and the last."""
BAD_IMAGES = {
    "does_not_start": ({"fault": "start"}, "deploy", "did not serve"),
    "another_commit": ({"version": "1.9"}, "deploy", "version 1.9 answers"),
    "dead_timer": ({"fault": "timer"}, "verify", "not ready: ticker"),
    "dead_queue": ({"fault": "queue"}, "verify", "the queue is not read"),
    "thirty_percent_fail": ({"jobs": "bad"}, "verify", "3 of 10 jobs fail that did not fail"),
    "crashes_later": ({"fault": "crash:20"}, "verify", "does not answer"),
}


@pytest.mark.parametrize("name", BAD_IMAGES)
def test_a_bad_image_is_found_and_rolled_back(stage: Stage, name: str) -> None:
    image, script, finding = BAD_IMAGES[name]
    stage.set_image(NEW, **{"version": "2.0", **image})
    code, printed = stage.deploy(NEW, "2.0")
    if script == "verify" and code == 0:
        code, printed = stage.verify("2.0")
    assert code == 1, printed
    assert finding in printed, printed
    roll_back_and_account(stage, has_crashed=name == "crashes_later")


def test_an_unavailable_registry_changes_nothing(stage: Stage) -> None:
    stage.set_image(NEW, "2.0")
    before = len(stage.commands())
    stage.close_registry()
    try:
        code, printed = stage.deploy(NEW, "2.0")
    finally:
        stage.open_registry()
    assert (code, "CONNECTIVITY" in printed) == (1, True), printed
    assert set(stage.commands()[before:]) == {"acr repository show"}
    assert stage.version() == "1.0"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["terminated", "killed"])
@pytest.mark.parametrize("position", ["first", "middle", "last"])
def test_an_aborted_deployment_is_rolled_back(stage: Stage, number: signal.Signals, position: str) -> None:
    """The whole process group of the script gets the signal while one of its changes is in progress."""
    change = CHANGES[stage.kind][position]
    stage.set_image(NEW, "2.0")
    process = stage.script("deploy", "--image", NEW, "--version", "2.0", "--record", stage.record)
    end = time.monotonic() + 60
    while time.monotonic() < end and process.poll() is None:
        if _changes(stage.record) >= change:
            break
        time.sleep(0.02)
    time.sleep(0.5 if position == "middle" else 0.05)
    os.killpg(process.pid, number)
    printed = process.communicate(timeout=30)[1]
    if number is signal.SIGTERM:
        assert (process.returncode, "run `rollback` with it" in printed) == (1, True), printed
    roll_back_and_account(stage)


def _changes(record: Path) -> int:
    try:
        found = json.loads(record.read_text())
    except (OSError, ValueError):
        return 0
    return len(found["steps"]) if found["state"] == "deploying" else 0


def test_a_good_image_is_verified_and_rolled_back_by_hand(stage: Stage) -> None:
    stage.set_image(NEW, "2.0")
    code, printed = stage.deploy(NEW, "2.0")
    assert code == 0, printed
    code, printed = stage.verify("2.0")
    assert code == 0, printed
    assert stage.version() == "2.0"
    code, printed = stage.call("rollback", "--image", OLD, "--version", "1.0")
    assert code == 0, printed
    assert stage.version() == "1.0"
