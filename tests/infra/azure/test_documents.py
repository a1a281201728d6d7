"""The ARM JSON is that of the Bicep files, and has all that their text declares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.project import ROOT
from tools.infra.arm import documents

BICEP, ARM = ROOT / "infra" / "bicep", ROOT / "infra" / "arm"
MODULES = sorted(path.name for path in (BICEP / "modules").glob("*.bicep"))


def templates(template: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield template
    for resource in template["resources"]:
        if resource["type"] == "Microsoft.Resources/deployments":
            yield from templates(resource["properties"]["template"])


@pytest.fixture(scope="module")
def main() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ARM / "main.json").read_text())
    return found


def of_file(name: str, main: dict[str, Any]) -> Mapping[str, Any]:
    """The template of a module, found by its description."""
    text = (BICEP / name).read_text()
    found = re.search(r"^metadata description = '(.*)'$", text, re.M)
    assert found
    return next(each for each in templates(main) if each["metadata"]["description"] == found[1])


def test_the_files_are_current() -> None:
    assert documents.find_outdated() == []


def test_a_change_makes_them_outdated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "ARM", tmp_path)
    monkeypatch.setattr(documents, "ROOT", tmp_path.parent)
    assert documents.main([]) == 0
    assert documents.main(["--check"]) == 0
    (tmp_path / "main.json").write_text((tmp_path / "main.json").read_text().replace("TLS1_2", "TLS1_0"))
    (tmp_path / "old.json").write_text("{}")
    assert [path.name for path in documents.find_outdated()] == ["main.json", "old.json"]
    assert documents.main(["--check"]) == 1


@pytest.mark.parametrize("name", ["main.bicep", *(f"modules/{name}" for name in MODULES)])
def test_what_the_text_of_a_file_declares_is_in_the_template(name: str, main: dict[str, Any]) -> None:
    """Read by patterns, and not by the compiler, which could drop something."""
    text = (BICEP / name).read_text()
    template = of_file(name, main)
    assert set(re.findall(r"^param (\w+)", text, re.M)) == set(template["parameters"])
    assert set(re.findall(r"^output (\w+)", text, re.M)) == set(template["outputs"])
    assert set(re.findall(r"^var (\w+)", text, re.M)) == set(template["variables"])
    declared = re.findall(r"^resource \w+ '([^@]+)@([^']+)' = ", text, re.M)
    modules = re.findall(r"^module \w+ ", text, re.M)
    found = [
        (each["type"], each["apiVersion"])
        for each in template["resources"]
        if each["type"] != "Microsoft.Resources/deployments"
    ]
    assert found == declared
    assert len(template["resources"]) == len(declared) + len(modules)
    written = json.dumps(template)
    keys = set(re.findall(r"^ +'?([\w.]+)'?: ", text, re.M)) - {"parent", "params"}
    assert {key for key in keys if f'"{key}"' not in written and f"'{key}'" not in written} == set()


@pytest.mark.parametrize("environment", documents.environments())
def test_the_parameters_of_an_environment_are_the_same(environment: str) -> None:
    text = (BICEP / "parameters" / f"{environment}.bicepparam").read_text()
    found = json.loads((ARM / "parameters" / f"{environment}.json").read_text())["parameters"]
    assert set(found) == set(re.findall(r"^param (\w+)", text, re.M))
    assert text.startswith("using '../main.bicep'\n")


@pytest.mark.parametrize("environment", documents.environments())
def test_the_pipeline_deploys_to_what_the_template_makes(environment: str) -> None:
    delivery = json.loads((ROOT / "infra" / "environments" / f"{environment}.json").read_text())
    given = json.loads((ARM / "parameters" / f"{environment}.json").read_text())["parameters"]
    assert delivery["app"] == given["name"]["value"]
    assert delivery["platform"] == given["platform"]["value"]
    assert delivery["registry"] == given["registryName"]["value"]
    assert delivery.get("slot", "staging") == "staging"
    assert delivery.get("idle_prefix", "staging") == "staging"


def test_every_environment_of_the_pipeline_has_parameters() -> None:
    assert documents.environments() == sorted(path.stem for path in (ROOT / "infra" / "environments").glob("*.json"))
