"""Runs Jenkinsfiles with stubs of Jenkins' steps: see execute.groovy."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.parts import missing

QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Options of Java for a program of seconds: what the full compiler and parallel collectors cost is never won back."""
EXECUTE = Path(__file__).parent / "execute.groovy"


@dataclass(frozen=True)
class Scenario:
    """A build: the file, the branch, and at most one step that ends badly.

    `event`: failure, abort or timeout. `step`: a regular expression for "STAGE: text" of the step that meets it;
    `times`: how often.
    """

    file: Path
    branch: str = "main"
    parameters: dict[str, str] = field(default_factory=lambda: {"SIGN_IN": "federated"})
    step: str = ""
    event: str = ""
    times: int = 1

    def as_json(self) -> dict[str, Any]:
        events = [{"step": self.step, "event": self.event, "times": self.times}] if self.event else []
        return {"file": str(self.file), "branch": self.branch, "parameters": self.parameters, "events": events}


@dataclass(frozen=True)
class ExecutedStep:
    """A step that ran. `stage` ends with the condition of `post` that the step belongs to."""

    stage: str
    step: str
    text: str
    credentials: list[str]
    locks: list[str]
    minutes: int | None
    agent: str
    result: str


@dataclass(frozen=True)
class Build:
    """What one scenario did."""

    result: str
    problems: list[str]
    options: list[str]
    skipped: list[str]
    steps: list[ExecutedStep]

    @property
    def stages(self) -> list[str]:
        """Stages with steps, in order, each once, without those of post conditions."""
        conditions = (" always", " unsuccessful", " cleanup", " failure", " success")
        return list(dict.fromkeys(each.stage for each in self.steps if not each.stage.endswith(conditions)))

    def scripts(self, stage: str = "") -> list[str]:
        return [each.text for each in self.steps if each.step == "sh" and stage in ("", each.stage)]

    def step(self, part: str) -> ExecutedStep:
        """The only step whose text contains `part`."""
        (found,) = (each for each in self.steps if part in each.text)
        return found


def execute(scenarios: Sequence[Scenario], folder: Path) -> list[Build]:
    """Run all scenarios in one go, as starting Groovy takes a second."""
    groovy = shutil.which("groovy")
    if groovy is None:
        missing("groovy is not installed (Debian's package groovy)")
    request = folder / "scenarios.json"
    request.write_text(json.dumps([each.as_json() for each in scenarios]), encoding="utf-8")
    env = {**os.environ, "JAVA_OPTS": QUICK_START}
    answer = json.loads(subprocess.check_output([groovy, EXECUTE, request], text=True, timeout=120, env=env))
    return [Build(**{**each, "steps": [ExecutedStep(**step) for step in each["steps"]]}) for each in answer]
