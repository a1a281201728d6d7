"""The files below infra/bicep are read whole, and belong to the pipeline's."""

from __future__ import annotations

import json
import re

import pytest

from tests.infra.azure.bicep import BicepFile
from tests.infra.azure.deployments import BICEP, deployment_of, environments, parameters_of
from tests.project import ROOT

FILES = sorted(str(path.relative_to(BICEP)) for path in BICEP.rglob("*.bicep"))


@pytest.mark.parametrize("name", FILES)
def test_what_the_text_of_a_file_declares_is_in_the_template(name: str) -> None:
    """Read by patterns, and not by the parser, which could drop something."""
    file, text = BicepFile(BICEP / name), (BICEP / name).read_text()
    for kind in ("metadata", "param", "output", "var", "resource", "module"):
        assert [each.name for each in file.of_kind(kind)] == re.findall(rf"^{kind} (\w+)", text, re.M)
    declared = re.findall(r"^(?:resource|module) \w+ '([^']+)' ", text, re.M)
    assert [each.type for each in file.of_kind("resource", "module")] == declared
    nodes = [node for each in file.declarations for top in each.nodes() for node in top.walk()]
    keys = {key for node in nodes if node.kind == "object" for key in node.entries()}
    assert set(re.findall(r"^ +'?([\w.]+)'?: ", text, re.M)) <= keys


@pytest.mark.parametrize("environment", environments())
def test_the_parameters_of_an_environment_are_the_same(environment: str) -> None:
    text = (BICEP / "parameters" / f"{environment}.bicepparam").read_text()
    assert list(parameters_of(environment)) == re.findall(r"^param (\w+)", text, re.M)
    assert text.startswith("using '../main.bicep'\n")


PIPELINE = sorted(path.stem for path in (ROOT / "infra" / "environments").glob("*.json"))


@pytest.mark.parametrize("environment", PIPELINE)
def test_the_pipeline_deploys_to_what_the_template_makes(environment: str) -> None:
    delivery = json.loads((ROOT / "infra" / "environments" / f"{environment}.json").read_text())
    given = parameters_of(environment)
    assert delivery["app"] == given["name"]
    assert delivery["platform"] == given["platform"]
    assert delivery["registry"] == given["registryName"]
    jobs = deployment_of(environment).of_type("Microsoft.App/jobs")
    assert delivery.get("jobs", []) == [job["name"] for job in jobs], "a release gives each of them its image"
    assert delivery.get("slot", "staging") == "staging"
    assert delivery.get("idle_prefix", "staging") == "staging"


def test_every_environment_of_the_pipeline_has_parameters() -> None:
    assert set(PIPELINE) <= set(environments())
    assert {"embedded", "existing-network"} <= set(environments()), "samples that the pages name"


def test_the_page_lists_every_parameter_and_no_other() -> None:
    page = (ROOT / "docs" / "infrastructure.md").read_text().split("\n## Parameters\n")[1].split("\n## ")[0]
    listed = {name for row in re.findall(r"^\| (`[^|]+) \|", page, re.M) for name in re.findall(r"`(\w+)`", row)}
    assert listed == {each.name for each in BicepFile(BICEP / "main.bicep").of_kind("param")}


def test_every_resource_is_in_a_module() -> None:
    """checkov reads the modules alone: it does not know all of main.bicep."""
    assert all(each.is_existing for each in BicepFile(BICEP / "main.bicep").of_kind("resource"))


def test_the_linter_stops_at_what_the_tests_refuse_as_well() -> None:
    rules = json.loads((BICEP / "bicepconfig.json").read_text())["analyzers"]["core"]["rules"]
    assert {"no-unused-params", "no-unused-vars", "secure-secrets-in-params"} <= set(rules)
    assert {rule["level"] for rule in rules.values()} == {"error"}
