"""The workflows of GitHub Actions and Azure Pipelines are valid, and take the steps of the Jenkinsfile.

Neither service can run here. Their published schemas, which check-jsonschema brings, judge the files; what the steps do
is tested where the scripts of infra/pipeline are.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
import yaml

from container.record import REQUIREMENTS
from container.repositories import NAME_OF_TARGET
from tests.project import ROOT

GITHUB = ROOT / ".github" / "workflows"
AZURE = ROOT / "infra" / "azure-pipelines"
NOT_IN_THE_SCHEMA = "PublishCodeCoverageResults@2"
"""A task that is newer than the schema, which only knows its first version."""
SCRIPT = re.compile(r"infra/pipeline/(image \w+|[\w-]+)|\./(dev \w+)")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scripts_of_jenkinsfile() -> list[str]:
    """Of a release to one environment, in the order of the file's text from the checks to the plan."""
    text = (ROOT / "Jenkinsfile").read_text(encoding="utf-8")
    stages = text[text.index("stages {") :]
    found = [one or two for one, two in SCRIPT.findall(stages)]
    steps = text[text.index("def release()") : text.index("def cleanUp()")]
    return [*found, "what-if", "plan", *(one for one, _ in SCRIPT.findall(steps))]


def scripts_of_github(path: Path) -> list[str]:
    """In order; a workflow that it calls counts once, and a plan of several environments once."""
    found: list[str] = []
    for job in read(path)["jobs"].values():
        if called := job.get("uses"):
            found += scripts_of_github(ROOT / called)
        for step in job.get("steps", ()):
            found += [one or two for one, two in SCRIPT.findall(step.get("run", ""))]
    return list(dict.fromkeys(found))


def expand(value: Any, parameters: dict[str, Any]) -> Any:
    """Azure's template expressions as its service replaces them. Its schema expects texts but in tasks."""
    if isinstance(value, str):
        return re.sub(r"\$\{\{ parameters\.(\w+) \}\}", lambda match: str(parameters[match[1]]), value)
    if isinstance(value, dict):
        in_task = "task" in value
        return {
            key: each if in_task and isinstance(each, int) else expand(each, parameters) for key, each in value.items()
        }
    if isinstance(value, list):
        return [each for item in value for each in expand_item(item, parameters)]
    return value if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def expand_item(item: Any, parameters: dict[str, Any]) -> list[Any]:
    if not (isinstance(item, dict) and "template" in item):
        return [expand(item, parameters)]
    template = read(AZURE / item["template"])
    (content,) = (each for key, each in template.items() if key != "parameters")
    return list(expand(content, item["parameters"]))


def expanded(name: str) -> Any:
    pipeline = read(AZURE / name)
    return expand(pipeline, {each["name"]: "dev" for each in pipeline.get("parameters", ())})


def steps_of(value: Any) -> list[dict[str, Any]]:
    """Every step of an expanded pipeline of Azure, in order."""
    if isinstance(value, list):
        return [step for each in value for step in steps_of(each)]
    if not isinstance(value, dict):
        return []
    return [
        *value.get("steps", ()),
        *(step for key, each in value.items() if key != "steps" for step in steps_of(each)),
    ]


def scripts_of_azure(name: str) -> list[str]:
    texts = [step.get("script", step.get("inputs", {}).get("inlineScript", "")) for step in steps_of(expanded(name))]
    return list(dict.fromkeys(one or two for text in texts for one, two in SCRIPT.findall(text)))


@pytest.mark.parametrize("schema", ["vendor.github-workflows", "custom.github-workflows-require-timeout"])
def test_the_workflows_fit_the_schema_of_github(schema: str) -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, *sorted(GITHUB.glob("*.yml"))]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "ok -- validation done\n")


@pytest.mark.parametrize("name", ["release.yml", "rollback.yml", "packages.yml", "bases.yml"])
def test_the_pipelines_fit_the_schema_of_azure(name: str) -> None:
    schema = resources.files("check_jsonschema").joinpath("builtin_schemas/vendor/azure-pipelines.json")
    pipeline = expanded(name)
    for holder in jobs_of(pipeline):
        holder["steps"] = [step for step in holder["steps"] if step.get("task") != NOT_IN_THE_SCHEMA]
    validator = jsonschema_rs.validator_for(json.loads(schema.read_text(encoding="utf-8")))
    assert [error.message[:200] for error in validator.iter_errors(pipeline)] == []


def jobs_of(value: Any) -> list[dict[str, Any]]:
    """Every part of an expanded pipeline that has steps."""
    if isinstance(value, list):
        return [found for each in value for found in jobs_of(each)]
    if not isinstance(value, dict):
        return []
    own = [value] if "steps" in value else []
    return own + [found for each in value.values() for found in jobs_of(each)]


def test_github_takes_the_steps_of_the_jenkinsfile() -> None:
    assert scripts_of_github(GITHUB / "release.yml") == [
        step for step in scripts_of_jenkinsfile() if step != "sign-in"
    ]  # the action azure/login signs in


def test_azure_takes_the_steps_of_the_jenkinsfile() -> None:
    assert scripts_of_azure("release.yml") == [
        step for step in scripts_of_jenkinsfile() if step != "sign-in"
    ]  # the task AzureCLI signs in


def test_every_pipeline_can_build_each_image() -> None:
    """By a parameter, a variable of the repository, a variable; GitHub has none without a value."""
    jenkins = (ROOT / "Jenkinsfile").read_text(encoding="utf-8")
    azure = read(AZURE / "release.yml")["variables"]
    (github,) = (
        step["env"]
        for step in read(GITHUB / "release.yml")["jobs"]["image"]["steps"]
        if "env" in step and "image build" in step["run"]
    )
    for variable, in_azure, values in (
        ("IMAGE_TARGET", "imageTarget", list(NAME_OF_TARGET)),
        ("IMAGE_REQUIREMENTS", "imageRequirements", list(REQUIREMENTS)),
    ):
        assert re.search(rf"name: '{variable}', choices: {values!r}".replace("[", r"\["), jenkins)
        assert azure[in_azure] == values[0]
        assert github[variable] == f"${{{{ vars.{variable} }}}}"
    (step,) = (step for step in steps_of(expanded("release.yml")) if step.get("displayName") == "Build")
    assert step["env"]["IMAGE_REQUIREMENTS"] == "$(imageRequirements)"


CHAIN = ["image", *(f"{step}_{name}" for name in ("dev", "test", "prod") for step in ("plan", "release_to"))]
"""Each environment is planned when the one before it has its release."""


def test_github_plans_each_environment_right_before_its_release() -> None:
    jobs = read(GITHUB / "release.yml")["jobs"]
    needs = {name.replace("-", "_"): job.get("needs") for name, job in jobs.items()}
    assert needs["approve_prod"] == "plan-prod"
    needs["release_to_prod"] = needs["release_to_prod"].replace("approve", "plan")
    assert [(needs[step] or "").replace("-", "_") for step in CHAIN[1:]] == CHAIN[:-1]
    assert {name: job["with"]["target"] for name, job in jobs.items() if "with" in job} == {
        f"{step}-{name}": name for name in ("dev", "test", "prod") for step in ("plan", "release-to")
    }


def test_azure_plans_each_environment_right_before_its_release() -> None:
    text = (AZURE / "release.yml").read_text(encoding="utf-8")
    stages = [stage for each in yaml.safe_load(text)["stages"] for stage in expand_item(each, {})]
    assert {stage["stage"]: stage["dependsOn"] for stage in stages if "dependsOn" in stage} == dict(
        zip(CHAIN[1:], CHAIN, strict=False)
    )


def test_every_plan_has_the_keys_for_reading_and_for_acting() -> None:
    plan = read(GITHUB / "plan.yml")["jobs"]["plan"]
    (github,) = (step for step in plan["steps"] if "infra/pipeline/plan" in step.get("run", ""))
    azure = [step for step in steps_of(expanded("release.yml")) if step.get("displayName") == "Plan"]
    assert [set(step["env"]) - {"TARGET"} for step in (github, *azure)] == [
        {"DEPLOY_READ_KEY", "DEPLOY_OPERATE_KEY"}
    ] * 4
    assert (plan["environment"], github["env"]["DEPLOY_READ_KEY"]) == (
        "plan",
        "${{ secrets[format('DEPLOY_READ_KEY_{0}', inputs.target)] }}",
    )
    stages = {stage["stage"]: stage for stage in expanded("release.yml")["stages"]}
    for name in ("dev", "test", "prod"):
        assert stages[f"plan_{name}"]["jobs"][0]["variables"] == [{"group": f"scheduler-plan-{name}"}]
        connections = {
            step["inputs"]["azureSubscription"] for step in steps_of(stages[f"plan_{name}"]) if "AzureCLI" in str(step)
        }
        assert connections == {"scheduler-plan"}


# Builds, approvals and locks. How GitHub evaluates a group, as far as the workflows use it:

EVENTS = {"push": "refs/heads/main", "pull_request": "refs/pull/12/merge", "workflow_dispatch": "refs/heads/bases"}


def group_of(concurrency: dict[str, Any], event: str, run: int) -> str:
    """The name of a group in a run of an event."""

    def evaluate(match: re.Match[str]) -> str:
        text = match[1].replace("&&", "and").replace("||", "or")
        names = {"github.event_name": repr(event), "github.ref": repr(EVENTS[event]), "github.run_id": repr(run)}
        for name, value in names.items():
            text = text.replace(name, value)
        return str(eval(text, {}))

    return re.sub(r"\$\{\{(.+?)\}\}", evaluate, concurrency["group"])


@pytest.mark.parametrize("event", EVENTS)
def test_of_three_builds_only_an_older_one_of_a_pull_request_ends(event: str) -> None:
    groups = [group_of(read(GITHUB / "release.yml")["concurrency"], event, run) for run in (1, 2, 3)]
    assert len(set(groups)) == (1 if event == "pull_request" else 3)


def test_the_job_that_waits_for_reviewers_holds_no_lock() -> None:
    jobs = read(GITHUB / "release.yml")["jobs"]
    assert {name for name, job in jobs.items() if "environment" in job} == {"approve-prod"}
    assert {name for name, job in jobs.items() if "concurrency" in job} == set()
    assert jobs["approve-prod"]["environment"] == "prod-approval"


@pytest.mark.parametrize(("printed", "code"), [("branch_policy\nrequired_reviewers", 0), ("branch_policy", 1), ("", 1)])
def test_an_environment_without_reviewers_approves_nothing(tmp_path: Path, printed: str, code: int) -> None:
    (tmp_path / "gh").write_text(f"#!/bin/sh\nprintf '{printed}'\n", encoding="utf-8")
    (tmp_path / "gh").chmod(0o755)
    (step,) = read(GITHUB / "release.yml")["jobs"]["approve-prod"]["steps"]
    variables = {"PATH": f"{tmp_path}:/usr/bin:/bin", "GITHUB_REPOSITORY": "contoso/scheduler"}
    assert subprocess.run(["bash", "-eo", "pipefail", "-c", step["run"]], env=variables).returncode == code


def test_releases_and_rollbacks_of_an_environment_share_one_lock_in_each_service() -> None:
    release = read(GITHUB / "release-to.yml")["jobs"]["release"]
    rollback = read(GITHUB / "rollback.yml")["jobs"]["rollback"]
    assert release["concurrency"] == {"group": "scheduler-${{ inputs.target }}", "queue": "max"}  # none is cancelled
    assert rollback["concurrency"] == {"group": "scheduler-${{ inputs.target }}", "cancel-in-progress": True}
    used = {
        name: [step["inputs"]["azureSubscription"] for step in steps_of(pipeline) if "AzureCLI" in str(step)]
        for name, pipeline in (("rollback", expanded("rollback.yml")), ("release", expanded("release.yml")))
    }
    changing = [one for one in used["release"] if one not in ("scheduler-plan", "scheduler-registry")]
    assert used["rollback"] == ["scheduler-dev"]
    assert set(changing) == {"scheduler-dev", "scheduler-test", "scheduler-prod"}
    for stage in (*expanded("rollback.yml")["stages"], *expanded("release.yml")["stages"]):
        changes = any(
            f"scheduler-{name}" in str(stage) and "pipeline/rollback" in str(stage) for name in ("dev", "prod")
        )
        assert not changes or stage["lockBehavior"] == "sequential"


def test_a_rollback_by_hand_needs_no_approval_and_a_person_on_call() -> None:
    rollback = read(GITHUB / "rollback.yml")["jobs"]["rollback"]
    assert rollback["environment"] == "${{ inputs.target }}-rollback"
    assert expanded("rollback.yml")["stages"][0]["jobs"][0]["environment"] == "scheduler-dev-rollback"
    step = rollback["steps"][0]
    assert step["env"] == {"PERSON": "${{ github.triggering_actor }}", "ON_CALL": "${{ vars.ON_CALL }}"}
    for person, on_call, code in (("ada", "grace\nAda", 0), ("ad", "ada", 1), ("ada", "", 1), ("a.a", "ada", 1)):
        variables = {"PATH": "/usr/bin:/bin", "PERSON": person, "ON_CALL": on_call}
        assert subprocess.run(["bash", "-ec", step["run"]], env=variables).returncode == code, (person, on_call)


def test_secrets_of_environments_reach_the_workflows_that_need_them() -> None:
    jobs = read(GITHUB / "release.yml")["jobs"]
    called = {name: job for name, job in jobs.items() if "uses" in job}
    assert len(called) == 6
    assert {name for name, job in called.items() if job.get("secrets") != "inherit"} == set()


def test_proposed_base_images_are_built_and_scanned() -> None:
    bases = read(GITHUB / "bases.yml")["jobs"]["propose"]
    assert "gh workflow run release.yml --ref bases" in str(bases["steps"])
    assert bases["permissions"]["actions"] == "write"
    assert "workflow_dispatch" in read(GITHUB / "release.yml")[True]  # YAML reads the key `on` as a boolean


def test_each_pipeline_can_roll_back_by_parameter() -> None:
    jenkins = (ROOT / "infra" / "jenkins" / "rollback" / "Jenkinsfile").read_text(encoding="utf-8")
    command = 'infra/pipeline/rollback "$TARGET" --image "$IMAGE" --version "$VERSION"'
    texts = (jenkins, json.dumps(read(GITHUB / "rollback.yml")), json.dumps(expanded("rollback.yml")))
    assert all(command in text.replace('\\"', '"') for text in texts)


def test_a_tag_publishes_the_packages_of_its_commit_in_each_service() -> None:
    jenkins = (ROOT / "infra" / "jenkins" / "packages" / "Jenkinsfile").read_text(encoding="utf-8")
    texts = (jenkins, json.dumps(read(AZURE / "packages.yml")), json.dumps(read(GITHUB / "packages.yml")["jobs"]))
    for text, last in zip(texts, ("packages publish", "packages publish", "gh release create"), strict=True):
        assert 0 < text.index("infra/pipeline/packages build") < text.index(last)
        assert "azurecr.io/" not in text.replace("REGISTRY.azurecr.io", ""), "no registry is in a file"
    assert read(GITHUB / "packages.yml")[True] == {"push": {"tags": ["v*"]}}
    assert read(AZURE / "packages.yml")["trigger"]["tags"] == {"include": ["v*"]}


def test_azure_proposes_base_images_as_github_does() -> None:
    for path in (GITHUB / "bases.yml", AZURE / "bases.yml"):
        text = path.read_text(encoding="utf-8")
        assert (
            text.index("image bases --update") < text.index("git push --force origin bases") < text.index("pr create")
        )


def test_actions_are_pinned_by_commit() -> None:
    used = {
        each for path in GITHUB.glob("*.yml") for each in re.findall(r"uses: (\S+)", path.read_text(encoding="utf-8"))
    }
    actions = {each for each in used if not each.startswith("./")}
    assert {each for each in actions if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", each)} == set()


def test_tokens_are_issued_only_where_azure_is_used() -> None:
    for path in GITHUB.glob("*.yml"):
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            text = (ROOT / job["uses"]).read_text(encoding="utf-8") if "uses" in job else json.dumps(job["steps"])
            assert ("id-token" in job.get("permissions", {})) == ("azure/login" in text), (path.name, name)


@pytest.mark.parametrize("name", ["release-to.yml"])
def test_a_release_is_rolled_back_when_it_fails_or_is_cancelled(name: str) -> None:
    (github,) = (step for step in read(GITHUB / name)["jobs"]["release"]["steps"] if "rollback" in step.get("run", ""))
    azure = [step for step in steps_of(expanded("release.yml")) if step.get("displayName") == "Roll back"]
    assert github["if"] == "failure() || cancelled()"
    assert [step["condition"] for step in azure] == ["or(failed(), canceled())"] * 3
