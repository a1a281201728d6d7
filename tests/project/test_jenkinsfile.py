"""The Jenkinsfile is run by Groovy with stubs of Jenkins' steps, and builds fail or end at each of its steps."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from itertools import chain, product
from pathlib import Path

import pytest

from tests.project import ROOT
from tests.project.jenkins.build import Build, Scenario, execute

JENKINSFILE = ROOT / "Jenkinsfile"
ROLLBACK = ROOT / "infra" / "jenkins" / "rollback" / "Jenkinsfile"
PACKAGES = ROOT / "infra" / "jenkins" / "packages" / "Jenkinsfile"
PIPELINE = ROOT / "infra" / "pipeline"
ENVIRONMENTS = ("dev", "test", "prod")
EVENTS = ("failure", "abort", "timeout")
STEP_TEXTS = {
    "unstash": "Release to {}: image",
    "sign-in": "Release to {}: infra/pipeline/sign-in",
    "deploy": "Release to {}: infra/pipeline/deploy",
    "verify": "Release to {}: infra/pipeline/verify",
}
NO_WAY_BACK = r"Release to dev.*pipeline/(deploy|rollback)"

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
    "steps_without_agent": (SOUND.replace("agent { label 'linux' }", ""), "runs sh without an agent"),
    "waits_on_an_agent": (SOUND.replace("sh 'make'", "input message: 'Go?'"), "while it holds an agent"),
    "interpolated_secret": (
        SOUND.replace("sh 'make'", "withCredentials([string(credentialsId: 'a', variable: 'B')]) { sh \"x ${B}\" }"),
        "puts a secret into its text",
    ),
    "twice": (SOUND.replace("agent none", "agent none\n agent any"), "has agent twice"),
    "not_groovy": ("pipeline {", "does not evaluate"),
}


def scenarios() -> dict[str, Scenario]:
    """By name: builds of main, of a branch, and of main with one bad end each."""
    bad_ends = {
        f"{environment}_{step}_{event}": Scenario(JENKINSFILE, step=STEP_TEXTS[step].format(environment), event=event)
        for environment, step, event in product(ENVIRONMENTS, STEP_TEXTS, EVENTS)
    }
    return {
        "main": Scenario(JENKINSFILE),
        "managed_identity": Scenario(JENKINSFILE, parameters={"SIGN_IN": "managed-identity"}),
        "function_keys": Scenario(JENKINSFILE, parameters={"SIGN_IN": "federated", "KEYS": "function-keys"}),
        "branch": Scenario(JENKINSFILE, branch="feature/retries"),
        "pull_request": Scenario(JENKINSFILE, branch="PR-12"),
        "check_failure": Scenario(JENKINSFILE, step="./dev check", event="failure"),
        "test_failure": Scenario(JENKINSFILE, step="./dev test", event="failure"),
        "scan_failure": Scenario(JENKINSFILE, step="image scan", event="failure"),
        "push_failure": Scenario(JENKINSFILE, step="image push", event="failure"),
        **{
            f"plan_{name}_failure": Scenario(JENKINSFILE, step=f"Plan {name}: infra/pipeline/plan", event="failure")
            for name in ENVIRONMENTS
        },
        "approval_abort": Scenario(JENKINSFILE, step="Release this image", event="abort"),
        "approval_timeout": Scenario(JENKINSFILE, step="Release this image", event="timeout"),
        "archive_failure": Scenario(JENKINSFILE, step="record.json, allowEmpty", event="failure"),
        "by_hand": Scenario(ROLLBACK, parameters={"SIGN_IN": "federated", "TARGET": "prod"}),
        "packages": Scenario(PACKAGES, parameters={"SIGN_IN": "federated"}),
        **{f"rollback_{event}": Scenario(JENKINSFILE, step=NO_WAY_BACK, event=event, times=2) for event in EVENTS},
        **bad_ends,
    }


def keys_of(environment: str) -> list[str]:
    return [f"scheduler-read-key-{environment}", f"scheduler-operate-key-{environment}"]


@pytest.fixture(scope="module")
def builds(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Build]:
    folder = tmp_path_factory.mktemp("jenkinsfiles")
    texts = {"sound": SOUND, **{name: text for name, (text, _) in BROKEN.items()}}
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    wanted = {**scenarios(), **{name: Scenario(folder / name) for name in texts}}
    return dict(zip(wanted, execute(list(wanted.values()), folder), strict=True))


def test_a_sound_pipeline_has_no_problems(builds: dict[str, Build]) -> None:
    assert builds["sound"].problems == []


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_pipeline_is_noticed(builds: dict[str, Build], name: str) -> None:
    assert any(BROKEN[name][1] in problem for problem in builds[name].problems), builds[name].problems


@pytest.mark.parametrize("name", scenarios())
def test_the_jenkinsfile_has_no_problems(builds: dict[str, Build], name: str) -> None:
    assert builds[name].problems == []


def test_a_build_of_main_passes_every_stage_in_order(builds: dict[str, Build]) -> None:
    assert (builds["main"].result, builds["main"].skipped) == ("SUCCESS", [])
    assert builds["main"].stages == [
        "Check",
        "Test",
        "Build",
        "Inspect",
        "Push",
        "Plan dev",
        "Release to dev",
        "Plan test",
        "Release to test",
        "Plan prod",
        "Approve",
        "Release to prod",
    ]


@pytest.mark.parametrize("name", ["branch", "pull_request"])
def test_a_branch_is_built_and_inspected_but_neither_pushed_nor_released(builds: dict[str, Build], name: str) -> None:
    assert builds[name].stages == ["Check", "Test", "Build", "Inspect"]
    assert [each.credentials for each in builds[name].steps if each.credentials] == []


def test_every_step_has_a_time_limit(builds: dict[str, Build]) -> None:
    assert [each.text for each in builds["main"].steps if each.minutes is None] == []


def test_builds_wait_for_locks_of_environments_and_not_for_each_other(builds: dict[str, Build]) -> None:
    assert "disableConcurrentBuilds" not in builds["main"].options
    held = {each.stage.split()[2]: each.locks for each in builds["main"].steps if each.stage.startswith("Release")}
    assert held == {name: [f"scheduler-{name}"] for name in ENVIRONMENTS}


def test_test_reports_are_collected_however_the_tests_end(builds: dict[str, Build]) -> None:
    assert [each.step for each in builds["test_failure"].steps if each.stage == "Test always"] == [
        "junit",
        "recordCoverage",
    ]


def test_an_older_build_ends_when_a_newer_one_is_approved(builds: dict[str, Build]) -> None:
    approval = [each.step for each in builds["main"].steps if each.stage == "Approve"]
    assert approval == ["input", "milestone"]


def test_the_approval_waits_without_an_agent_and_a_lock(builds: dict[str, Build]) -> None:
    approval = builds["main"].step("Release this image")
    assert (approval.agent, approval.locks, approval.minutes) == ("none", [], 480)


def test_only_named_people_can_approve() -> None:
    assert re.findall(r"input .*submitter: '([\w-]+)'", JENKINSFILE.read_text(encoding="utf-8")) == [
        "scheduler-releasers"
    ]


def test_credentials_surround_only_the_steps_that_need_them(builds: dict[str, Build]) -> None:
    found = {
        (name, " ".join(each.credentials))
        for each in builds["main"].steps
        for name in re.findall(r"infra/pipeline/(\S+(?: \w+)?)", each.text)
        if each.credentials
    }
    tokens = {("sign-in", f"azure-token-{name}") for name in ENVIRONMENTS}
    keys = {(step, " ".join(keys_of(name))) for step in ("deploy", "verify") for name in ENVIRONMENTS}
    plans = {("plan", f"scheduler-plan-key-{name}") for name in ENVIRONMENTS}
    assert found == tokens | plans | keys | {("image sign", "scheduler-signing scheduler-signing-password")}


def test_a_plan_acts_with_a_key_of_functions_only(builds: dict[str, Build]) -> None:
    plans = [each.credentials for each in builds["function_keys"].steps if "pipeline/plan" in each.text]
    assert plans == [[f"scheduler-plan-key-{name}", f"scheduler-operate-key-{name}"] for name in ENVIRONMENTS]


def test_a_managed_identity_needs_no_token(builds: dict[str, Build]) -> None:
    used = set(chain.from_iterable(each.credentials for each in builds["managed_identity"].steps))
    assert {name for name in used if name.startswith("azure-")} == set()
    assert builds["managed_identity"].stages == builds["main"].stages


@pytest.mark.parametrize(("environment", "step", "event"), list(product(ENVIRONMENTS, STEP_TEXTS, EVENTS)))
def test_a_release_that_ends_badly_is_rolled_back(
    builds: dict[str, Build], environment: str, step: str, event: str
) -> None:
    build = builds[f"{environment}_{step}_{event}"]
    bad = next(number for number, each in enumerate(build.steps) if each.result != "SUCCESS")
    rollback = build.step("pipeline/rollback")

    assert build.result == ("FAILURE" if event == "failure" else "ABORTED")
    assert build.steps.index(rollback) == bad + 1
    assert (rollback.stage, rollback.locks) == (f"Release to {environment} unsuccessful", [f"scheduler-{environment}"])
    assert (rollback.minutes, rollback.credentials) == (30, keys_of(environment))
    assert [each.stage for each in build.steps[bad + 1 :]][1:] == [f"Release to {environment} cleanup"] * 2


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_bad_end_skips_the_later_environments(builds: dict[str, Build], environment: str) -> None:
    later = ENVIRONMENTS[ENVIRONMENTS.index(environment) + 1 :]
    skipped = [stage for stage in builds[f"{environment}_verify_failure"].skipped if stage != "Approve"]
    assert skipped == [f"{step} {name}" for name in later for step in ("Plan", "Release to")]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_plan_that_fails_keeps_its_environment_and_the_later_ones_untouched(
    builds: dict[str, Build], environment: str
) -> None:
    build = builds[f"plan_{environment}_failure"]
    released = [stage.split()[-1] for stage in build.stages if stage.startswith("Release")]
    assert (build.result, released) == ("FAILURE", [*ENVIRONMENTS[: ENVIRONMENTS.index(environment)]])
    assert "Approve" not in build.stages


@pytest.mark.parametrize("event", EVENTS)
def test_a_rollback_that_ends_badly_still_ends_the_sign_in(builds: dict[str, Build], event: str) -> None:
    assert builds[f"rollback_{event}"].steps[-1].text == 'rm -rf "$AZURE_CONFIG_DIR"'


def test_a_release_that_changed_nothing_is_not_rolled_back(builds: dict[str, Build]) -> None:
    script = builds["dev_deploy_failure"].step("pipeline/rollback").text
    ended = subprocess.run(["sh", "-c", script], cwd="/", capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


def test_the_sign_in_ends_with_its_stage(builds: dict[str, Build]) -> None:
    for name in ("main", "push_failure", "prod_verify_abort"):
        signed_in = [each.stage for each in builds[name].steps if "pipeline/sign-in" in each.text]
        removed = [each.stage for each in builds[name].steps if "AZURE_CONFIG_DIR" in each.text]
        assert removed == [f"{stage.replace('Push', 'Image')} cleanup" for stage in signed_in], name


def test_the_record_is_archived_however_the_release_ends(builds: dict[str, Build]) -> None:
    for name in ("main", "dev_deploy_failure", "test_verify_abort"):
        assert any("record.json" in each.text and each.step == "archiveArtifacts" for each in builds[name].steps), name


@pytest.mark.parametrize("name", ["approval_abort", "approval_timeout"])
def test_without_approval_prod_is_untouched(builds: dict[str, Build], name: str) -> None:
    assert builds[name].result == "ABORTED"
    assert builds[name].stages[-1] == "Approve"
    assert not [each for each in builds[name].steps if "rollback" in each.text]


@pytest.mark.parametrize("name", ["check_failure", "test_failure", "scan_failure", "push_failure", "plan_dev_failure"])
def test_nothing_is_released_after_a_failure(builds: dict[str, Build], name: str) -> None:
    assert builds[name].result == "FAILURE"
    assert [stage for stage in builds[name].stages if stage.startswith(("Release", "Approve"))] == []


def test_the_deployed_image_is_the_one_that_was_pushed(builds: dict[str, Build]) -> None:
    releases = [each for each in builds["main"].steps if "pipeline/deploy" in each.text]
    assert {each.text for each in releases} == {
        'infra/pipeline/deploy "$TARGET" --image "$(cat image.txt)" --version "$(cat version.txt)" --record record.json'
    }


def test_a_rollback_by_hand_waits_for_the_lock_of_its_environment(builds: dict[str, Build]) -> None:
    rollback = builds["by_hand"].step("pipeline/rollback")
    assert (rollback.locks, rollback.minutes, rollback.credentials) == (["scheduler-prod"], 30, keys_of("prod"))
    assert builds["by_hand"].scripts()[-1] == 'rm -rf "$AZURE_CONFIG_DIR"'


def test_the_scripts_accept_every_command(builds: dict[str, Build], tmp_path: Path) -> None:
    """They run with --dry-run, in the order of a release, and hand over the files that later steps read."""
    folder = tmp_path / "infra" / "pipeline"
    folder.mkdir(parents=True)
    for script in (each for each in PIPELINE.iterdir() if each.is_file() and os.access(each, os.X_OK)):
        stub = folder / script.name
        stub.write_text(f'#!/bin/sh\nexec {sys.executable} {script} "$@" --dry-run\n', encoding="utf-8")
        stub.chmod(0o755)
    (tmp_path / "token").write_text("a.b.c", encoding="utf-8")
    image = f"contosoregistry.azurecr.io/scheduler@sha256:{'1' * 64}"
    variables = {"PATH": os.environ["PATH"], "TARGET": "dev", "BASE_DIGEST": "", "AZURE_TOKEN_FILE": "token"}
    for name in ("main", "managed_identity"):
        for step in (each for each in builds[name].scripts() if "infra/pipeline/" in each):
            ended = subprocess.run(["sh", "-ec", step], cwd=tmp_path, env=variables, capture_output=True, text=True)
            assert ended.returncode == 0, (step, ended.stderr)
            if "image push" in step:  # a dry run pushes nothing, so it has no digest
                (tmp_path / "image.txt").write_text(image, encoding="utf-8")
    assert (tmp_path / "version.txt").read_text(encoding="utf-8").strip()


def test_every_script_is_sound_shell(builds: dict[str, Build]) -> None:
    scripts = set(chain.from_iterable(each.scripts() for each in builds.values() if not each.problems))
    for script in scripts:
        subprocess.run(["sh", "-n"], input=script, text=True, check=True)


def test_no_script_is_double_quoted() -> None:
    """Also where Groovy is missing: a double-quoted one would be filled in by Jenkins, secrets in plain sight."""
    assert re.findall(r"^\s*sh \"+", JENKINSFILE.read_text(encoding="utf-8"), re.M) == []
