"""The Jenkinsfile is evaluated by Groovy with stand-ins for the pipeline's methods: see jenkins/evaluate.groovy."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.parts import missing
from tests.project import ROOT

EVALUATE = Path(__file__).parent / "jenkins" / "evaluate.groovy"

SOUND = """
pipeline {
  agent none
  stages {
    stage('One') {
      agent { label 'linux' }
      steps { sh 'make' }
    }
  }
}
"""

BROKEN = {
    "no_agent": (SOUND.replace("agent none", ""), "pipeline: has no agent"),
    "no_stages": ("pipeline { agent none }", "pipeline: has no stages"),
    "two_bodies": (SOUND.replace("steps {", "stages { stage('x') { steps { echo '' } } }\n steps {"), "exactly one of"),
    "no_body": (SOUND.replace("steps { sh 'make' }", ""), "exactly one of"),
    "unknown_step": (SOUND.replace("sh 'make'", "shh 'make'"), "unknown step shh"),
    "unknown_section": (SOUND.replace("steps {", "environ { A = 'b' }\n steps {"), "does not take environ"),
    "unknown_condition": (SOUND.replace("steps {", "post { sometimes { echo '' } }\n steps {"), "unknown condition"),
    "steps_without_agent": (SOUND.replace("agent { label 'linux' }", ""), "runs steps without an agent"),
    "waits_on_an_agent": (SOUND.replace("sh 'make'", "input message: 'Go?'"), "while it holds an agent"),
    "interpolated_secret": (
        SOUND.replace("sh 'make'", "withCredentials([string(credentialsId: 'a', variable: 'B')]) { sh \"x ${B}\" }"),
        "puts a secret into its text",
    ),
    "twice": (SOUND.replace("agent none", "agent none\n agent any"), "has agent twice"),
    "not_groovy": ("pipeline {", "does not evaluate"),
}


@dataclass(frozen=True)
class Outline:
    """What evaluating one file found."""

    problems: list[str]
    stages: dict[str, dict[str, Any]]
    options: list[str]

    def scripts(self, stage: str) -> str:
        return "\n".join(step for step in self.stages[stage]["steps"] if step.startswith("sh "))


@pytest.fixture(scope="module")
def outlines(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Outline]:
    """All files in one go, as starting Groovy takes a second."""
    groovy = shutil.which("groovy")
    if groovy is None:
        missing("groovy is not installed (Debian's package groovy)")
    folder = tmp_path_factory.mktemp("jenkinsfiles")
    files = {"Jenkinsfile": ROOT / "Jenkinsfile", "sound": folder / "sound"}
    files["sound"].write_text(SOUND)
    for name, (text, _) in BROKEN.items():
        files[name] = folder / name
        files[name].write_text(text)
    found = json.loads(subprocess.check_output([groovy, EVALUATE, *files.values()], text=True, timeout=60))
    return {
        name: Outline(entry["problems"], {stage["name"]: stage for stage in entry["stages"]}, entry["options"])
        for name, entry in zip(files, found, strict=True)
    }


@pytest.fixture
def jenkinsfile(outlines: dict[str, Outline]) -> Outline:
    return outlines["Jenkinsfile"]


def test_a_sound_pipeline_has_no_problems(outlines: dict[str, Outline]) -> None:
    assert outlines["sound"].problems == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pipeline_is_noticed(outlines: dict[str, Outline], name: str) -> None:
    assert any(BROKEN[name][1] in problem for problem in outlines[name].problems), outlines[name].problems


def test_the_jenkinsfile_has_no_problems(jenkinsfile: Outline) -> None:
    assert jenkinsfile.problems == []


def test_the_stages_run_in_the_order_of_a_release(jenkinsfile: Outline) -> None:
    assert list(jenkinsfile.stages) == [
        "Lint",
        "Test",
        "Image",
        "Build",
        "Push",
        "Approve",
        "Release",
        "Deploy",
        "Smoke",
    ]


def test_the_pipeline_is_bounded_and_never_runs_twice_at_once(jenkinsfile: Outline) -> None:
    expected = {"timeout", "disableConcurrentBuilds", "buildDiscarder", "skipStagesAfterUnstable"}
    assert expected <= set(jenkinsfile.options)


def test_test_reports_are_collected_however_the_tests_end(jenkinsfile: Outline) -> None:
    assert jenkinsfile.stages["Test"]["post"]["always"] == ["junit", "recordCoverage"]


def test_the_approval_waits_without_an_agent_and_not_forever(jenkinsfile: Outline) -> None:
    approve = jenkinsfile.stages["Approve"]
    assert (approve["agent"], approve["steps"], approve["options"]) == ("none", ["input"], ["timeout"])


def test_the_running_image_is_recorded_before_it_is_replaced(jenkinsfile: Outline) -> None:
    deploy = jenkinsfile.scripts("Deploy")
    assert -1 < deploy.index("> previous.txt") < deploy.index("config container set")


def test_the_smoke_test_waits_for_the_commit_that_was_built(jenkinsfile: Outline) -> None:
    assert jenkinsfile.scripts("Smoke") == 'sh .ci/smoke "$APP_URL" "$GIT_COMMIT"'


def test_a_failed_release_puts_the_recorded_image_back(jenkinsfile: Outline) -> None:
    _, script = jenkinsfile.stages["Release"]["post"]["failure"]
    assert '--image "$(cat previous.txt)"' in script


def test_every_script_is_sound_shell(jenkinsfile: Outline) -> None:
    for stage in jenkinsfile.stages.values():
        for step in [*stage["steps"], *(step for steps in stage["post"].values() for step in steps)]:
            if step.startswith("sh "):
                subprocess.run(["sh", "-n"], input=step[3:], text=True, check=True)


def test_no_script_is_double_quoted() -> None:
    """Also where Groovy is missing: a double-quoted one would be filled in by Jenkins, secrets in plain sight."""
    assert re.findall(r"^\s*sh \"+", (ROOT / "Jenkinsfile").read_text(), re.M) == []
