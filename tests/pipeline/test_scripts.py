"""The scripts as a person runs them: help, dry run, exit codes, and messages that name the remedy."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.project import ROOT

PIPELINE = ROOT / "infra" / "pipeline"
SCRIPTS = ("deploy", "verify", "rollback", "status", "plan", "what-if", "sign-in")
IMAGE = f"contosoregistry.azurecr.io/scheduler@sha256:{'a' * 64}"
ENVIRONMENTS = sorted(path.stem for path in (ROOT / "infra" / "environments").glob("*.json"))


def call(script: str, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script with an empty PATH, so that there is no `az`."""
    command = [sys.executable, PIPELINE / script, *arguments]
    environment = {"PATH": "/nonexistent", **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_executable_and_explains_itself(script: str) -> None:
    assert os.access(PIPELINE / script, os.X_OK)
    done = call(script, "--help")
    assert done.returncode == 0
    assert "ENVIRONMENT" in done.stdout
    assert "Exit codes: 0 done, 1 failed, 2" in done.stdout


def test_the_scripts_need_the_standard_library_alone() -> None:
    own = {path.name for path in PIPELINE.iterdir() if path.is_dir()}
    for path in [*PIPELINE.rglob("*.py"), *(PIPELINE / script for script in SCRIPTS)]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 11))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.partition(".")[0] in {*sys.stdlib_module_names, *own}, (path, name)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_samples_have_own_authentication_in_the_pipeline_and_in_the_app(environment: str) -> None:
    keys = json.loads((ROOT / "infra" / "environments" / f"{environment}.json").read_text(encoding="utf-8"))["keys"]
    parameters = (ROOT / "infra" / "bicep" / "parameters" / f"{environment}.bicepparam").read_text(encoding="utf-8")
    assert (keys["header"], "SCHEDULER_HTTP__AUTHENTICATION: 'own'" in parameters) == ("X-API-Key", True)


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_a_dry_run_prints_the_plan_and_runs_nothing(environment: str, tmp_path: Path) -> None:
    record = tmp_path / "record.json"
    deployed = call("deploy", environment, "--image", IMAGE, "--version", "2", "--record", record, "--dry-run")
    assert (deployed.returncode, record.exists()) == (0, False), deployed.stderr
    change = (
        "containerapp update" if environment in ("container-apps", "embedded") else "functionapp deployment slot swap"
    )
    assert f"$ az {change}" in deployed.stderr
    has_jobs = environment in ("container-apps", "embedded", "prod")
    assert ("-backup --image contosoregistry" in deployed.stderr) == has_jobs
    verified = call("verify", environment, "--version", "2", "--record", record, "--dry-run")
    assert (verified.returncode, "canary/run?wait=30s" in verified.stderr) == (0, True)
    back = call("rollback", environment, "--image", IMAGE, "--version", "1", "--dry-run")
    assert (back.returncode, "$ az " in back.stderr) == (0, True)


BAD_CALLS = {
    "tag": (("deploy", "prod", "--image", "r.azurecr.io/a:1", "--version", "2", "--record", "r"), "by its digest"),
    "other registry": (
        (
            "deploy",
            "prod",
            "--image",
            IMAGE.replace("contoso", "other"),
            "--version",
            "2",
            "--record",
            "r",
            "--dry-run",
        ),
        "is not that of prod, contosoregistry",
    ),
    "no environment": (
        ("status", "staging-2"),
        "Environments in this folder: container-apps, dev, embedded, prod, test",
    ),
    "path as environment": (("status", "../prod"), "is not a name"),
    "example": (("deploy", "prod", "--image", IMAGE, "--version", "2", "--record", "r"), "subscription of the example"),
    "no keys": (("verify", "prod", "--version", "2", "--record", "r"), "DEPLOY_READ_KEY and DEPLOY_OPERATE_KEY"),
    "no record": (("rollback", "prod", "--record", "missing.json"), "missing.json does not exist"),
    "record and image": (("rollback", "prod", "--record", "r", "--image", IMAGE), "give either --record FILE, or"),
    "image alone": (("rollback", "prod", "--image", IMAGE), "with --version V"),
    "soak": (("verify", "prod", "--version", "2", "--record", "r", "--soak", "3"), "a duration such as 90s"),
    "no az": (("status", "prod"), "install the Azure CLI"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_input_ends_with_2_and_names_the_remedy(name: str) -> None:
    arguments, message = BAD_CALLS[name]
    done = call(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in " ".join(done.stderr.split()), done.stderr


def test_an_environment_file_is_judged_as_a_whole(tmp_path: Path) -> None:
    values = {
        "platform": "vm", "subscription": "s", "resource_group": "g", "app": "a", "url": "http://a.example",
        "registry": "r", "canary": "c", "slot": "staging", "jobs": "backup", "keys": {"read": "a key!", "write": "W"},
        "verify": {"soak": "3", "runs": 2},
    }  # fmt: skip
    (tmp_path / "odd.json").write_text(json.dumps(values))
    done = call("status", "odd", "--environments", tmp_path)
    assert done.returncode == 2
    for problem in (
        "platform: expected one of functions, container-apps, embedded, found 'vm'",
        "slot_url is missing",
        "url: expected https",
        "jobs: expected a list of names of Container Apps jobs, found 'backup'",
        "keys.write is unknown; known: keys.header, keys.read, keys.operate",
        "keys.read: expected a name, never a key",
        "verify.soak: '3' is not a duration",
        "verify.runs: expected a share from 0 to 1, found 2",
    ):
        assert problem in done.stderr
    assert "a key!" not in done.stderr
